"""Measures a start and an idle process, beside a process that only imports the same libraries.

./dev bench start [--rounds N] [--quick] [--against CHECKOUT]
"""

import contextlib
import sys
import time
from collections.abc import Iterator

from benchmarks._figures import IDLE, IMPORTS_ALONE, START
from benchmarks._processes import READY, running
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import Server
from benchmarks._subjects import Subject, paidchat

SETTLE_S, IDLE_S = 3, 10
PROGRAM = f"import fastapi, sqlalchemy, sqlmodel, uvicorn\nprint('{READY}', flush=True)\ninput()"


@contextlib.contextmanager
def importing() -> Iterator[Server]:
    """Run a process that imports uvicorn, FastAPI, SQLAlchemy and SQLModel, and does nothing."""
    with running(sys.executable, "-c", PROGRAM) as process:
        yield Server(0, process)


def measure_subject(how: Options, subject: Subject) -> Iterator[Record]:
    """Measure the time until a process is ready, the memory after a board's first sweep, then its idle CPU."""
    with subject.serve() as server:
        process = server.process
        yield Record(START, subject.name, process.ready_cpu_us, process.ready_after_s * 1e6, process.rss_kib())
        if subject.name != IMPORTS_ALONE:
            time.sleep(SETTLE_S)
            seconds = how.amount(IDLE_S)
            before = process.cpu_us()
            time.sleep(seconds)
            yield Record(IDLE, subject.name, (process.cpu_us() - before) / seconds)


def main() -> None:
    """Measure each subject."""
    how = options()
    subjects = how.with_other([paidchat, Subject(IMPORTS_ALONE, lambda _messages: importing())])
    keep("start", how, measure(how, subjects, lambda subject: measure_subject(how, subject)))


if __name__ == "__main__":
    main()
