"""The heap: what the garbage collector need not look at."""

import ctypes
import gc
import weakref
from typing import Any, Final

from paidchat.serving.transports import Transport

_untrack: Final = (
    ctypes.pythonapi.PyObject_GC_UnTrack
)  # part of the stable ABI (docs.python.org/3/c-api/gcsupport.html)
_untrack.argtypes, _untrack.restype = (ctypes.py_object,), None


def load() -> None:
    """Suspend garbage collection until `settle`; call this before the server's modules are imported.

    What they make stays, and looking through it again and again took 0.28 s of a start of 1.6 s. The garbage that is
    not collected meanwhile is 0.1 MiB.
    """
    gc.disable()


def settle() -> None:
    """Exempt all objects that exist now from garbage collection, and begin it; call this when the program has started.

    Modules, routes and statements are 150,000 objects that stay: a full pass over them stops the event loop for 130 ms.
    """
    gc.freeze()
    gc.enable()


def exempt(transport: Transport) -> None:
    """Exempt a viewer's transport, and what belongs to it alone, from garbage collection.

    They are freed when the connection is lost, since uvloop and `OpenConnection` then let go of each other; a cycle
    through them would never be. With 10,000 viewers a full pass takes 2 to 6 ms instead of 39. Freezing them now and
    then would do that too, but keep whatever else becomes garbage later.
    """
    buffers = (each for each in gc.get_referents(transport) if type(each) is list)
    own: tuple[Any, ...] = (transport, transport.get_extra_info("socket"), *buffers, *weakref.getweakrefs(transport))
    for each in own:
        if gc.is_tracked(each):
            _untrack(each)
