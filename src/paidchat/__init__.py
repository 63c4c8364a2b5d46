"""paidchat: pay a dollar, post a message on a live public board."""

import importlib

from paidchat.companions import left_out

# It would import rich and pygments for tracebacks that are never printed with them, and greenlet for contexts that are
# never used: 80 ms and 6 MiB at every start.
with left_out("rich", "better_exceptions", "greenlet"):
    importlib.import_module("structlog")  # before any module asks for it
