"""How the work on an input grows with its size: the growth is the only thing about time that a test can check."""

import math
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

LARGER: Final = 4  # times
MOST_GROWTH: Final = 8  # linear work grows by 4, quadratic by 16; the rest is tolerance
ROUNDS: Final = 5
ATTEMPTS: Final = 3  # a busy machine may slow down one measurement, but quadratic work shows in all of them
MEASURABLE_S: Final = 0.001
MOST_REPEATED: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One way in which strangers can send bytes.

    Attributes:
        covers: the routes, headers, kinds of frames and logged fields that this is the way in of.
        make: makes the worst input of a size.
        work: what is done with it.
        size: of the smaller input, such that four times as much is let in, or is more than what is let in.
    """

    make: Callable[[int], Any]
    work: Callable[[Any], object]
    size: int
    covers: frozenset[str] = frozenset()


def growth(entry: Entry) -> float:
    """Return the growth in CPU time, best of five, for four times the input; measure again if it is above the bound."""
    small, large = entry.make(entry.size), entry.make(LARGER * entry.size)
    grown = math.inf
    for _ in range(ATTEMPTS):
        grown = min(grown, _growth(entry, small, large))
        if grown <= MOST_GROWTH:
            break
    return grown


def _growth(entry: Entry, small: Any, large: Any) -> float:
    times = 1
    while (before := _cpu(entry, small, times)) < MEASURABLE_S and times < MOST_REPEATED:
        times *= 2
    before = min(before, *(_cpu(entry, small, times) for _ in range(ROUNDS - 1)))
    return min(_cpu(entry, large, times) for _ in range(ROUNDS)) / max(before, MEASURABLE_S)


def _cpu(entry: Entry, value: Any, times: int) -> float:
    return timeit.timeit(lambda: entry.work(value), timer=time.process_time, number=times)
