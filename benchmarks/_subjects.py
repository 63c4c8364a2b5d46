"""What is compared: each subject by its name, and how to serve it afresh on a database of its own."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks._figures import EXPRESS, EXPRESS_PG, FASTIFY, FLOOR, OTHER, PAIDCHAT, PLAIN
from benchmarks._postgres import PostgresServer
from benchmarks._processes import ROOT
from benchmarks._servers import Server, board, floor, peer
from benchmarks._stores import HISTORY, Store, sqlite_store

Serve = Callable[[Store], AbstractContextManager[Server]]


@dataclass(frozen=True)
class Subject:
    """Something to measure, and how to serve it until a block ends, with so many messages on its board."""

    name: str
    serve_with: Callable[[int], AbstractContextManager[Server]]

    def serve(self, messages: int = HISTORY) -> AbstractContextManager[Server]:
        """Serve it afresh until a block ends."""
        return self.serve_with(messages)


@contextlib.contextmanager
def _on_sqlite(serve: Serve, checkout: Path, messages: int) -> Iterator[Server]:
    with sqlite_store(checkout, messages) as store, serve(store) as server:
        yield server


def _subject(name: str, serve: Serve, checkout: Path = ROOT) -> Subject:
    return Subject(name, partial(_on_sqlite, serve, checkout))


def _board_of(checkout: Path) -> Serve:
    return lambda store: board(store, checkout)


def _peer_in(file: str) -> Serve:
    return lambda store: peer(file, store)


paidchat = _subject(PAIDCHAT, board)
express = _subject(EXPRESS, _peer_in("express.mjs"))
fastify = _subject(FASTIFY, _peer_in("fastify.mjs"))
plain = _subject(PLAIN, _peer_in("plain_fastapi.py"))
c_floor = Subject(FLOOR, lambda _messages: floor())


def other(checkout: Path) -> Subject:
    """Return another checkout's board on SQLite."""
    return _subject(OTHER, _board_of(checkout), checkout)


def on_postgres(server: PostgresServer, against: Path | None) -> list[Subject]:
    """Return the board and its peer on PostgreSQL, and the other checkout's board if there is one."""

    def subject(name: str, serve: Serve, checkout: Path = ROOT) -> Subject:
        return Subject(name, lambda messages: serve(server.store(checkout, messages)))

    subjects = [subject(PAIDCHAT, board), subject(EXPRESS_PG, _peer_in("express_pg.mjs"))]
    return [*subjects, subject(OTHER, _board_of(against), against)] if against else subjects
