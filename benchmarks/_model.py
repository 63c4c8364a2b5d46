"""A model of more viewers than fit one machine, from what a delivery and an idle viewer were measured to cost."""

from collections.abc import Iterator

MESSAGES_PER_SECOND = 1.0
FRAME_BYTES = 350
CORES_PER_MACHINE, GIB_PER_MACHINE, GBIT_PER_MACHINE = 8, 32, 10
HEADROOM = 0.5  # how much of a core a process should use
VIEWERS_PER_PROCESS = 20_000
POLLS_PER_SECOND = 2  # of the database, by each process

ASSUMED = (
    f"{MESSAGES_PER_SECOND:g} message a second of {FRAME_BYTES} bytes, each process at {HEADROOM:.0%} of a core, "
    f"machines of {CORES_PER_MACHINE} cores and {GIB_PER_MACHINE} GiB"
)
COLUMNS = ("viewers", "processes", "memory, GiB", "out, Gbit/s", "machines", "database polls/s")


def model(delivery_us: float, viewer_kib: float) -> Iterator[tuple[str, ...]]:
    """Return what 10⁴ to 10⁷ viewers would need, as the cells of a table."""
    for viewers in (10**4, 10**5, 10**6, 10**7):
        cores = viewers * MESSAGES_PER_SECOND * delivery_us / 1e6
        processes = max(_up(cores / HEADROOM), _up(viewers / VIEWERS_PER_PROCESS))
        memory = viewers * viewer_kib / 1024**2
        out = viewers * MESSAGES_PER_SECOND * FRAME_BYTES * 8 / 1e9
        machines = _up(
            max(processes / CORES_PER_MACHINE, memory / GIB_PER_MACHINE, out / (GBIT_PER_MACHINE * HEADROOM))
        )
        polls = processes * (POLLS_PER_SECOND + MESSAGES_PER_SECOND)
        yield (f"{viewers:,}", f"{processes:,}", f"{memory:.1f}", f"{out:.2f}", f"{machines:,}", f"{polls:,.0f}")


def _up(number: float) -> int:
    return int(-(-number // 1))
