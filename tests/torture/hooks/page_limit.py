"""The page limit: SQLite refuses to let the database grow, as on a full disk, while a file exists."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine

MOST_PAGES: Final = 4_294_967_294  # SQLite's own


def install(flag: str) -> None:
    """Set every connection's limit to what there is already, or to none, before each of its transactions."""
    full = Path(flag)

    @event.listens_for(Engine, "begin")
    def _limit(connection: Any) -> None:
        pages = 1 if full.exists() else MOST_PAGES  # fewer than there are means as many as there are
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
