"""Parts: the components of one sandbox, passed to the functions that work on it."""

from dataclasses import dataclass

from paidchat.sandbox.clock import Clock
from paidchat.sandbox.delivery.courier import Courier
from paidchat.sandbox.delivery.events import Events
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

    def open(self) -> None:
        """Open the store, load the stored clock and faults, and start to deliver events."""
        self.store.open()
        self.clock.load()
        self.faults.load()
        self.courier.start()

    async def close(self) -> None:
        """Stop delivering and close the store."""
        await self.courier.stop()
        self.store.close()


def build_parts(settings: SandboxSettings) -> Parts:
    """Build the parts; nothing is opened yet."""
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
