"""Measures the memory of an idle viewer: what a fresh process has with 4,500 of them, less what it has with 500.

./dev bench memory [--rounds N] [--quick] [--against CHECKOUT]
"""

import time
from collections.abc import Iterator

from benchmarks._figures import IDLE_VIEWER
from benchmarks._records import Record
from benchmarks._rounds import keep, measure, options
from benchmarks._subjects import Subject, c_floor, express, paidchat, plain
from benchmarks._viewers import Viewers

FIRST, MORE = 500, 4_000
SETTLED_S = 1


def run(subject: Subject) -> Iterator[Record]:
    """Connect some viewers, then more; their first frames are short, which makes no difference to what they keep."""
    with subject.serve(messages=0) as server, Viewers(server.port, FIRST):
        time.sleep(SETTLED_S)
        before = server.process.rss_kib()
        with Viewers(server.port, MORE):
            time.sleep(SETTLED_S)
            yield Record(IDLE_VIEWER, subject.name, kib=(server.process.rss_kib() - before) / MORE)


def main() -> None:
    """Measure each subject."""
    how = options()
    keep("memory", how, measure(how, how.with_other([paidchat, express, plain, c_floor]), run))


if __name__ == "__main__":
    main()
