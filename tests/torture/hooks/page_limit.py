"""The page limit: while a file exists, SQLite refuses to let the database grow, as on a full disk."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine

MOST_PAGES: Final = 4_294_967_294  # SQLite's own


def install(flag: str) -> None:
    """Before each transaction, limit the connection to the pages that exist, or remove the limit."""
    full = Path(flag)

    @event.listens_for(Engine, "begin")
    def _limit(connection: Any) -> None:
        pages = 1 if full.exists() else MOST_PAGES  # SQLite takes a smaller limit as the current size
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
