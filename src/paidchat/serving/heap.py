"""The heap: what the garbage collector need not look at."""

import gc


def settle() -> None:
    """Exempt all objects that exist now from garbage collection; call this once, when the program has started.

    Modules, routes and statements are 300,000 objects that stay: a full pass over them stops the event loop for
    FIGURE ms, and every 10,000 viewers who come cause several. Without them a pass takes FIGURE ms.
    """
    gc.collect()
    gc.freeze()
