"""What load costs a server: its CPU, and the time until the last answer."""

import time
from collections.abc import Sequence

from benchmarks._http import send
from benchmarks._records import Record
from benchmarks._servers import Server


def cost(
    name: str, subject: str, server: Server, requests: Sequence[bytes], *, status: int = 200
) -> tuple[Record, set[bytes]]:
    """Send requests; return what each cost, and the different bodies of the answers."""
    cpu, began = server.process.cpu_us(), time.perf_counter()
    bodies = send(server.port, requests, status=status)
    wall = (time.perf_counter() - began) * 1e6
    cpu = server.process.cpu_us() - cpu
    return Record(name, subject, cpu / len(requests), wall / len(requests)), bodies
