"""The heap: what the garbage collector need not look at."""

import gc


def settle() -> None:
    """Exempt all objects that exist now from garbage collection; call this once, when the program has started.

    Modules, routes and statements are 150,000 objects that stay. A full pass over them and 10,000 viewers stops the
    event loop for 170 ms, and happens several times while so many come. Without them, and with viewers mostly out of
    the collector's sight (`OpenConnection`), it takes 39 ms. Its thresholds are Python's: they decide how often it
    happens, not how long it takes, and a rarer pass would leave more behind of closed connections.
    """
    gc.collect()
    gc.freeze()
