"""A replica: a viewer's copy of the board, merged from frames by the public contract; it records violations."""

from collections.abc import Iterable

from tests.support.shapes import Json

ENTRIES = frozenset({"message.posted", "message.removed", "message.restored", "message.withheld"})


class Replica:
    """The state of one viewer, across all of its connections.

    `findings` are violations: a gap, a duplicate, disorder, a message that was added or removed twice.
    """

    def __init__(self) -> None:
        self.epoch = ""
        self.seq = -1  # of the last entry taken; -1 before the first snapshot
        self.messages: dict[int, Json] = {}
        self.findings: list[str] = []
        self.taken = 0  # entries
        self.brought: set[int] = set()  # messages added since the last connection was opened
        self._floor = 0  # ids below it are history that was never read
        self._withheld: set[int] = set()

    def open(self, frame: Json, *, cursor: tuple[int, str] | None) -> None:
        """Process the first frame of a connection; `cursor` is the (seq, epoch) it was opened with, if any."""
        self.brought.clear()
        match frame["type"]:
            case "snapshot":
                self._start_over(frame)
            case "resumed":
                if cursor != (frame["seq"], frame["epoch"]) or cursor != (self.seq, self.epoch):
                    self._complain(f"resumed at {frame['seq']} of {frame['epoch']}, asked for {cursor}")
            case other:
                self._complain(f"the first frame is {other}")

    def take(self, frame: Json) -> None:
        """Process a later frame of a connection."""
        kind = frame["type"]
        if kind in ENTRIES:
            self._take_entry(kind, frame)
        elif kind == "payment.updated":
            self._check_payment(frame["payment"])
        elif kind not in {"heartbeat", "viewers"}:
            self._complain(f"unexpected: {frame}")

    def differences(self, page: Iterable[Json]) -> list[str]:
        """Return how this copy differs from the board's messages, of which a page or more was read at `seq`."""
        theirs = {message["id"]: message for message in page}
        lowest = max(self._floor, min(theirs, default=0))
        ours = {id_: message for id_, message in self.messages.items() if id_ >= lowest}
        theirs = {id_: message for id_, message in theirs.items() if id_ >= lowest}
        return [
            f"message {id_} at {self.seq}: the viewer has {ours.get(id_)}, the board {theirs.get(id_)}"
            for id_ in sorted(ours.keys() | theirs.keys())
            if ours.get(id_) != theirs.get(id_)
        ]

    def _start_over(self, snapshot: Json) -> None:
        if snapshot["epoch"] == self.epoch and snapshot["seq"] < self.seq:
            self._complain(f"a snapshot goes back from {self.seq} to {snapshot['seq']}")
        ids = [message["id"] for message in snapshot["messages"]]
        if ids != sorted(set(ids)) or any(id_ > snapshot["seq"] for id_ in ids):
            self._complain(f"the snapshot at {snapshot['seq']} has the messages {ids}")
        self.epoch, self.seq = snapshot["epoch"], snapshot["seq"]
        self.messages = {message["id"]: message for message in snapshot["messages"]}
        self._floor = min(ids, default=0) if snapshot["has_more"] else 0
        self._withheld.clear()

    def _take_entry(self, kind: str, frame: Json) -> None:
        seq = frame["seq"]
        if seq != self.seq + 1:
            fault = "a gap" if seq > self.seq else "a double"
            self._complain(f"{fault}: {kind} {seq} after {self.seq}")
        self.seq = max(self.seq, seq)
        self.taken += 1
        match kind:
            case "message.posted" | "message.restored":
                self._show(kind, seq, frame["message"])
            case "message.removed":
                self._hide(frame["message_id"])
            case "message.withheld":
                self._withheld.add(frame["message_id"])

    def _show(self, kind: str, seq: int, message: Json) -> None:
        id_ = message["id"]
        if (kind == "message.posted") != (id_ == seq):
            self._complain(f"{kind} {seq} is about message {id_}")
        if id_ in self.messages:
            self._complain(f"{kind} {seq}: message {id_} was there already")
        self.messages[id_] = message
        self.brought.add(id_)
        self._withheld.discard(id_)

    def _hide(self, id_: int) -> None:
        known = self.messages.pop(id_, None)
        # A withheld message may be removed again, and messages in unread history may be removed too.
        if known is None and id_ not in self._withheld and id_ >= self._floor:
            self._complain(f"message {id_} was removed and was not there")
        self._withheld.discard(id_)

    def _check_payment(self, payment: Json) -> None:
        if payment["status"] == "fulfilled" and (payment["message_id"] is None or payment["message_id"] > self.seq):
            self._complain(f"told of message {payment['message_id']} by its payment at {self.seq}")

    def _complain(self, what: str) -> None:
        self.findings.append(what)
