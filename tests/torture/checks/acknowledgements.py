"""Acknowledgements: checks that everything a board acknowledged is on disk when it is killed.

A board that acknowledges too early would recover a second later, because Stripe sends events again and the reconciler
finds lost ones. So this check runs right after the kill.
"""

from dataclasses import dataclass, field

from tests.torture.harness.world import World


@dataclass
class Acknowledgements:
    """What has been looked for so far in one world."""

    world: World
    events: int = 0
    _attempts: int = 0
    _payments: set[str] = field(default_factory=set)

    async def check(self, *, thorough: bool = False) -> list[str]:
        """Return what was acknowledged since the last check and is missing. No board may be running."""
        events = self._acknowledged_events()
        payments = set(self.world.taken) - self._payments
        self.events += len(events)
        self._payments |= payments
        if not self.world.records.exists:
            return [f"{what} was acknowledged and there is no database" for what in (*events, *payments)]
        async with self.world.records.left_behind() as left:
            if not await left.has_tables():
                return [f"{what} was acknowledged and there is no table" for what in (*events, *payments)]
            forgotten = await left.missing("stripe_event", set(events))
            gone = await left.missing("payment", payments)
            damage = await left.damage() if thorough else []
        return [
            *(f"event {event} ({events[event]}) was acknowledged and not on disk at the kill" for event in forgotten),
            *(f"payment {payment} was answered with 201 and not on disk at the kill" for payment in gone),
            *damage,
        ]

    def _acknowledged_events(self) -> dict[str, str]:
        self._attempts, events = self.world.file.acknowledged_after(self._attempts)
        return events
