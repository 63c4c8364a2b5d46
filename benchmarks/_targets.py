"""The targets: each a ratio or a difference to a peer, a floor or another figure of the same run."""

import statistics
from dataclasses import dataclass
from enum import Enum

from benchmarks import _figures as figures
from benchmarks._figures import EXPRESS, EXPRESS_PG, FASTIFY, FLOOR, PAIDCHAT
from benchmarks._records import Records

MS, MIB = 1_000, 1_024  # in the records' units, µs and KiB


class Kind(Enum):
    """How a figure is compared."""

    FASTER = "times as fast"  # at least
    SHARE = "times"  # at most
    MORE = "more"  # at most
    WITHIN = "in all"  # at most
    REACHED = "in all, or more"  # at least


@dataclass(frozen=True)
class Figure:
    """A figure: which subject's, and which column."""

    name: str
    subject: str
    measure: str


@dataclass(frozen=True)
class Target:
    """What a figure should be, compared with another one of the same rounds."""

    words: str
    ours: Figure
    other: Figure
    kind: Kind
    limit: float

    def value(self, records: Records) -> float | None:
        """Return the median over the rounds of the comparison; None if something was not measured."""
        ours, others = (records.rounds(each.name, each.subject, each.measure) for each in (self.ours, self.other))
        pairs = [(ours[number], others[number]) for number in ours if number in others]
        return statistics.median(self._compare(*pair) for pair in pairs) if pairs else None

    def _compare(self, ours: float, other: float) -> float:
        match self.kind:
            case Kind.FASTER:
                return other / ours
            case Kind.SHARE:
                return ours / other
            case Kind.MORE:
                return ours - other
            case Kind.WITHIN | Kind.REACHED:
                return ours

    def is_met(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value >= self.limit if self.is_lower_limit else value <= self.limit

    @property
    def is_lower_limit(self) -> bool:
        """Whether more is better."""
        return self.kind in {Kind.FASTER, Kind.REACHED}

    def share(self, value: float) -> float:
        """Return the value as a share of what is allowed: 1 or less is met."""
        if not self.limit:
            return float(value > 0) * 2
        return self.limit / value if self.is_lower_limit else value / self.limit

    def text_of(self, value: float) -> str:
        """Return a value, or the limit, in the target's unit."""
        if self.kind in {Kind.FASTER, Kind.SHARE}:
            return f"{value:.2f}"
        sign = "+" if self.kind is Kind.MORE else ""
        match self.ours.measure:
            case "cpu" if self.ours.name == figures.IDLE:
                return f"{value / 1e4:.2f} %"  # µs in a second
            case "cpu" | "wall":
                return f"{value / MS:{sign}.2f} ms"
            case "count":
                return f"{value:,.1f}".removesuffix(".0")
            case _ if self.kind is Kind.MORE:
                return f"{value / MIB:{sign}.1f} MiB"
            case _:
                return f"{value:.1f} KiB"

    @property
    def bound(self) -> str:
        """The limit, in words."""
        return f"{'≥' if self.is_lower_limit else '≤'} {self.text_of(self.limit)}"


def _against(words: str, name: str, measure: str, other: str, kind: Kind, limit: float) -> Target:
    return Target(words, Figure(name, PAIDCHAT, measure), Figure(name, other, measure), kind, limit)


def _within(words: str, name: str, measure: str, limit: float) -> Target:
    figure = Figure(name, PAIDCHAT, measure)
    return Target(words, figure, figure, Kind.WITHIN, limit)


def _reached(name: str, limit: float) -> Target:
    figure = Figure(name, PAIDCHAT, "count")
    return Target(name, figure, figure, Kind.REACHED, limit)


def _grown(name: str) -> Target:
    large, small = (Figure(name, subject, "cpu") for subject in (figures.LARGE, figures.SMALL))
    return Target(f"{name}, large / small, CPU", large, small, Kind.SHARE, 1.2)


LIGHTHOUSE_SCORES = {(figures.MOBILE, "performance"): 95, (figures.DESKTOP, "performance"): 98}  # the others: 100
TARGETS = (
    _against("webhooks on SQLite per CPU-second / Express", figures.WEBHOOK_ON_SQLITE, "cpu", EXPRESS, Kind.FASTER, 2),
    _against("webhooks on SQLite per second / Express", figures.WEBHOOK_ON_SQLITE, "wall", EXPRESS, Kind.FASTER, 1.5),
    _against(
        "webhooks on PostgreSQL per CPU-second / Express + pg",
        figures.WEBHOOK_ON_POSTGRESQL,
        "cpu",
        EXPRESS_PG,
        Kind.FASTER,
        1.5,
    ),
    _against("newest pages per CPU-second / fastify serialising", figures.NEWEST_PAGE, "cpu", FASTIFY, Kind.FASTER, 1),
    _against("boards per CPU-second / fastify serialising", figures.BOARD, "cpu", FASTIFY, Kind.FASTER, 1),
    _against("webhook to the last of 1,000, median / Express", figures.TO_LAST, "wall", EXPRESS, Kind.SHARE, 0.7),
    Target(
        "webhook to the last of 1,000, p99 / median",
        Figure(figures.TO_LAST_P99, PAIDCHAT, "wall"),
        Figure(figures.TO_LAST, PAIDCHAT, "wall"),
        Kind.SHARE,
        3,
    ),
    _against("CPU of a delivery, 1,000 viewers / floor", figures.TO_FEW, "cpu", FLOOR, Kind.SHARE, 1.4),
    _against("CPU of a delivery, 1,000 viewers / Express with ws", figures.TO_FEW, "cpu", EXPRESS, Kind.SHARE, 0.8),
    _against("CPU of a delivery, 5,000 viewers / floor", figures.TO_MANY, "cpu", FLOOR, Kind.SHARE, 1.4),
    _against("CPU of a delivery, 5,000 viewers / Express with ws", figures.TO_MANY, "cpu", EXPRESS, Kind.SHARE, 0.8),
    _against("CPU of a delivery in a burst of 60 / floor", figures.IN_BURST, "cpu", FLOOR, Kind.SHARE, 0.2),
    _within("memory of an idle viewer", figures.IDLE_VIEWER, "kib", 6),
    _against("memory of an idle viewer / Express with ws", figures.IDLE_VIEWER, "kib", EXPRESS, Kind.SHARE, 0.5),
    _against("CPU of a payment over create_async", figures.PAYMENT, "cpu", figures.CREATE_ALONE, Kind.MORE, 2.5 * MS),
    _against("time to start / importing alone", figures.START, "wall", figures.IMPORTS_ALONE, Kind.SHARE, 1.3),
    _against(
        "memory at the start over importing alone", figures.START, "kib", figures.IMPORTS_ALONE, Kind.MORE, 20 * MIB
    ),
    *(_within(figures.HOLD_UPS[phase], figures.HOLD_UPS[phase], "cpu", 10 * MS) for phase in figures.PHASES[:-1]),
    _within("idle process, of a core", figures.IDLE, "cpu", 0.002 * 1e6),
    _within("requests failed 10 s after an overload", figures.RECOVERED, "count", 0),
    _within("from Pay to seen in another window", figures.PAY_TO_SEEN, "wall", 300 * MS),
    _grown(figures.GROWN_PAGE),
    _grown(figures.GROWN_CATCH_UP),
    _grown(figures.GROWN_WEBHOOK),
    *(_reached(name, LIGHTHOUSE_SCORES.get(which, 100)) for which, name in figures.LIGHTHOUSE.items()),
    _within(figures.LOADED[figures.COLD], figures.LOADED[figures.COLD], "count", 16),
    _within("page: bytes, cold", figures.LOADED[figures.COLD], "kib", 40),
    _within(figures.LOADED[figures.WARM], figures.LOADED[figures.WARM], "count", 1),
    _within(figures.FIRST_MESSAGE[figures.COLD], figures.FIRST_MESSAGE[figures.COLD], "wall", 2_300 * MS),
    _within(figures.FIRST_MESSAGE[figures.WARM], figures.FIRST_MESSAGE[figures.WARM], "wall", 1_500 * MS),
    _reached(figures.FRAMES, 55),
    _within(figures.ELEMENTS, figures.ELEMENTS, "count", 6_000),
    _within(figures.JUMP, figures.JUMP, "count", 0),
    _within(figures.KEY_PRESS, figures.KEY_PRESS, "cpu", 8 * MS),
)
