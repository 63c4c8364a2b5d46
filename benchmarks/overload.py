"""Measures recovery: a minute of ten times the webhooks that a board can take, then half of what it can take.

What is not acknowledged is delivered again, as Stripe does. Afterwards each event has posted one message.
./dev bench overload [--rounds N] [--quick]
"""

import sys
import time
from collections import deque
from collections.abc import Iterator

from benchmarks._arrivals import OPEN_AT_MOST, Arrivals, Outcome
from benchmarks._events import check_all_posted, posts
from benchmarks._figures import OVERLOADED, RECOVERED
from benchmarks._http import send
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import Server
from benchmarks._subjects import Subject, paidchat

WARM_UP, TRIED = 128, 1_280
TIMES = 10
OVERLOAD_S, RECOVERY_S, NORMAL_S = 60, 10, 20


def capacity(server: Server) -> float:
    """Return how many webhooks a second the server takes, 32 at a time."""
    send(server.port, posts(server, WARM_UP))
    requests = posts(server, TRIED)
    began = time.perf_counter()
    send(server.port, requests)
    return len(requests) / (time.perf_counter() - began)


def measure_subject(how: Options, subject: Subject) -> Iterator[Record]:
    """Overload a server, and return how many requests failed from ten seconds later on."""
    overload_s, normal_s = how.amount(OVERLOAD_S), how.amount(NORMAL_S)
    with subject.serve() as server:
        rate = capacity(server)
        # More than can be answered; who got no 200 comes back.
        enough = OPEN_AT_MOST + int(rate * (1.3 * overload_s + (RECOVERY_S + normal_s) / 2))
        waiting = deque(posts(server, enough))
        during = Arrivals(server.port, waiting).run(rate * TIMES, overload_s)
        recovering = Arrivals(server.port, waiting).run(rate / 2, RECOVERY_S)
        after = Arrivals(server.port, waiting).run(rate / 2, normal_s)
        for name, outcome in (("during", during), ("right after", recovering), ("ten seconds later", after)):
            print(f"{subject.name}, {name}: {_words(outcome)}", file=sys.stderr)
        send(server.port, list(waiting))
        check_all_posted(server)
    yield Record(OVERLOADED, subject.name, wall=during.took_s * 1e6 / during.statuses[200])
    yield Record(RECOVERED, subject.name, count=after.failed, wall=after.slowest_s * 1e6)


def _words(outcome: Outcome) -> str:
    answers = ", ".join(f"{count:,} times {status}" for status, count in sorted(outcome.statuses.items()))
    lost = f"{outcome.broken:,} broken, {outcome.turned_away:,} found no connection"
    return f"{answers or 'no answer'}; {lost}; the slowest took {outcome.slowest_s:.2f} s"


def main() -> None:
    """Measure the board alone: what its peers do when overloaded is theirs."""
    how = options()
    keep("overload", how, measure(how, how.with_other([paidchat]), lambda subject: measure_subject(how, subject)))


if __name__ == "__main__":
    main()
