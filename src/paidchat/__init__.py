"""paidchat: pay a dollar, post a message on a live public board."""

import importlib

from paidchat.companions import left_out

# It would import rich and pygments, for tracebacks that are never printed with them: 80 ms and 5 MiB at every start.
with left_out("rich", "better_exceptions"):
    importlib.import_module("structlog")  # before any module asks for it
