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


def settle() -> None:
    """Exempt all objects that exist now from garbage collection; call this once, when the program has started.

    Modules, routes and statements are 150,000 objects that stay: a full pass over them stops the event loop for 130 ms.
    """
    gc.collect()
    gc.freeze()


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
