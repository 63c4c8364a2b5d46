"""Parts: the components of one sandbox, passed to the functions that work on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from paidchat.sandbox.clock import Clock
from paidchat.sandbox.delivery.courier import Courier
from paidchat.sandbox.delivery.events import Events
from paidchat.sandbox.faults import Faults
from paidchat.sandbox.settings import SandboxSettings
from paidchat.sandbox.store import Store
from paidchat.sandbox.upkeep import Upkeep


@dataclass(frozen=True)
class Parts:
    """One running sandbox."""

    settings: SandboxSettings
    store: Store
    clock: Clock
    faults: Faults
    events: Events
    courier: Courier
    upkeep: Upkeep

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the store, load the stored clock and faults, and deliver events until the block ends."""
        self.store.open()
        try:
            self.clock.load()
            self.faults.load()
            async with self.courier.connected(), self.upkeep:
                self.courier.start()
                yield
        finally:
            self.store.close()


def build_parts(settings: SandboxSettings) -> Parts:
    """Build the parts; nothing is opened yet."""
    store = Store(settings.data / "sandbox.db")
    clock = Clock(store)
    faults = Faults(store)
    upkeep = Upkeep()
    return Parts(
        settings=settings,
        store=store,
        clock=clock,
        faults=faults,
        events=Events(store, clock, faults),
        courier=Courier(settings, store, clock, faults, upkeep),
        upkeep=upkeep,
    )
