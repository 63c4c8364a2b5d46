"""The simulations' time: it passes in steps that the jumps of their clocks don't undo."""

import pytest

from paidchat.payments.reconciler import LEASE_TTL
from tests.torture.harness.wall_clock import PASSING
from tests.torture.runs.simulation import AHEAD, LONG_STEPS


@pytest.mark.parametrize("lease", ["payment.claimed_until", "sweep.held_until"])
def test_no_old_lease_is_in_force_again(lease: str) -> None:
    """However often time passes in a simulation, and from whichever jump to whichever, an old lease stays over."""
    apart = {before - after for before in AHEAD for after in AHEAD}
    passed = [PASSING[lease] * times for times in range(1, LONG_STEPS + 1)]
    assert not [seconds for seconds in passed for jump in apart if 0 <= seconds - jump <= LEASE_TTL.total_seconds()]
