"""Parts: everything one sandbox consists of, handed to whoever acts on it."""

from dataclasses import dataclass

from paidchat.sandbox.clock import Clock
from paidchat.sandbox.courier import Courier
from paidchat.sandbox.events import Events
from paidchat.sandbox.faults import Faults
from paidchat.sandbox.settings import SandboxSettings
from paidchat.sandbox.store import Store


@dataclass(frozen=True)
class Parts:
    """One running sandbox."""

    settings: SandboxSettings
    store: Store
    clock: Clock
    faults: Faults
    events: Events
    courier: Courier


def open_parts(settings: SandboxSettings) -> Parts:
    """Open the store in `settings.data` and build the rest on it; nothing runs yet."""
    store = Store(settings.data / "sandbox.db")
    clock = Clock(store)
    faults = Faults(store)
    return Parts(
        settings=settings,
        store=store,
        clock=clock,
        faults=faults,
        events=Events(store, clock, faults),
        courier=Courier(settings, store, clock, faults),
    )
