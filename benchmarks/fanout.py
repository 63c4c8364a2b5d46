"""Measures what a message to many viewers costs, and when the last of them has it.

The CPU of a delivery is what posting takes with viewers, less what it takes without, by the number of viewers.
./dev bench fanout [--rounds N] [--quick] [--against CHECKOUT]
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks._events import check_all_posted, posts
from benchmarks._figures import FEW, FLOOR, IN_BURST, MANY, PLAIN, TO_FEW, TO_LAST, TO_LAST_P99, TO_MANY
from benchmarks._http import AT_ONCE, send
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import Server
from benchmarks._subjects import Subject, c_floor, express, paidchat, plain
from benchmarks._viewers import SETTLED_S, Viewers

DELIVERIES = {FEW: TO_FEW, MANY: TO_MANY}
POSTS = {FEW: 100, MANY: 20}  # one after the other
BURST_POSTS, BURSTS = 60, 8
WARM_UP, WARM_UP_BURSTS = 10, 4

Await = Callable[[int], float]


def post_singly(server: Server, requests: Sequence[bytes], await_entries: Await) -> list[float]:
    """Post messages one by one; returns the µs from each request until the last viewer had its entry."""
    times = []
    for each in requests:
        began = time.monotonic()
        send(server.port, [each])
        times.append((await_entries(1) - began) * 1e6)
    return times


def nobody(_count: int) -> float:
    """Wait for no viewer."""
    return time.monotonic()


def cpu_of_posts(server: Server, requests: Sequence[bytes], await_entries: Await) -> tuple[float, list[float]]:
    """Post messages one by one; returns the CPU per message, and the times until the last viewer had each."""
    before = server.process.cpu_us()
    times = post_singly(server, requests, await_entries)
    return (server.process.cpu_us() - before) / len(requests), times


def cost_of_bursts(server: Server, bursts: int, await_entries: Await) -> tuple[float, float]:
    """Post 60 messages at once, several times; returns the CPU and the time until the last viewer, per message."""
    cpu = wall = 0.0
    for _ in range(bursts):
        requests = posts(server, BURST_POSTS)
        before, began = server.process.cpu_us(), time.monotonic()
        send(server.port, requests, at_once=AT_ONCE if server.store else 1)  # the floor doesn't number them itself
        wall += await_entries(BURST_POSTS) - began
        cpu += server.process.cpu_us() - before
    return cpu / (bursts * BURST_POSTS), wall * 1e6 / (bursts * BURST_POSTS)


def measure_latency(name: str, times: Sequence[float]) -> Iterator[Record]:
    """Summarise the times until the last viewer had a message."""
    yield Record(TO_LAST, name, wall=statistics.median(times))
    yield Record(TO_LAST_P99, name, wall=statistics.quantiles(times, n=100, method="inclusive")[98])


def measure_subject(how: Options, subject: Subject) -> Iterator[Record]:
    """Measure deliveries to few viewers and to many, and a burst to few."""
    with subject.serve() as server:
        # What is subtracted must not be the cost of a cold process, or deliveries would look too cheap.
        cost_of_bursts(server, WARM_UP_BURSTS, nobody)
        burst_alone, _ = cost_of_bursts(server, how.amount(BURSTS), nobody)
        alone, _ = cpu_of_posts(server, posts(server, how.amount(POSTS[FEW])), nobody)
        for count in (FEW,) if subject.name == PLAIN else (FEW, MANY):  # plain FastAPI takes minutes to let many in
            time.sleep(SETTLED_S)
            with Viewers(server.port, count) as viewers:
                post_singly(server, posts(server, WARM_UP), viewers.await_entries)
                cpu, times = cpu_of_posts(server, posts(server, how.amount(POSTS[count])), viewers.await_entries)
                yield Record(DELIVERIES[count], subject.name, (cpu - alone) / count, statistics.median(times) / count)
                if count == FEW:
                    cpu, wall = cost_of_bursts(server, how.amount(BURSTS), viewers.await_entries)
                    yield Record(IN_BURST, subject.name, (cpu - burst_alone) / count, wall / count)
                    if subject.name != FLOOR:  # which has no webhook
                        yield from measure_latency(subject.name, times)
        check_all_posted(server)


def main() -> None:
    """Measure each subject."""
    how = options()
    subjects = how.with_other([paidchat, express, plain, c_floor])
    keep("fanout", how, measure(how, subjects, lambda subject: measure_subject(how, subject)))


if __name__ == "__main__":
    main()
