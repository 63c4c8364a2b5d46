"""Measures a webhook, from the signature to the message on disk, over 32 connections, on both databases.

./dev bench webhooks [--rounds N] [--quick] [--against CHECKOUT]
"""

from collections.abc import Iterator

from benchmarks._events import check_all_posted, events, posts, webhook
from benchmarks._figures import POSTGRESQL_ITSELF, WEBHOOK_ON_POSTGRESQL, WEBHOOK_ON_SQLITE
from benchmarks._http import send
from benchmarks._load import cost
from benchmarks._postgres import PostgresServer, postgres_server
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import Server
from benchmarks._subjects import Subject, express, on_postgres, paidchat, plain

WEBHOOKS = 1_280
WARM_UP = 128


def check_rules(server: Server) -> None:
    """Check that a server refuses a wrong signature and takes an event once, however often it comes."""
    [event] = events(server, 1)
    send(server.port, [webhook(event, "whsec_of_someone_else")], status=400)
    send(server.port, [webhook(event)] * 3, at_once=3)
    check_all_posted(server)


def on_sqlite(how: Options) -> list[Record]:
    """Measure on SQLite."""

    def run(subject: Subject) -> Iterator[Record]:
        with subject.serve() as server:
            warm_up(server)
            yield cost(WEBHOOK_ON_SQLITE, subject.name, server, posts(server, how.amount(WEBHOOKS)))[0]
            check_all_posted(server)

    return measure(how, how.with_other([paidchat, express, plain]), run)


def on_postgresql(how: Options, postgres: PostgresServer) -> list[Record]:
    """Measure on PostgreSQL, whose own CPU has a figure of its own."""

    def run(subject: Subject) -> Iterator[Record]:
        with subject.serve() as server:
            warm_up(server)
            requests = posts(server, how.amount(WEBHOOKS))
            before = postgres.cpu_us()
            yield cost(WEBHOOK_ON_POSTGRESQL, subject.name, server, requests)[0]
            yield Record(POSTGRESQL_ITSELF, subject.name, (postgres.cpu_us() - before) / len(requests))
            check_all_posted(server)

    return measure(how, on_postgres(postgres, how.against), run)


def warm_up(server: Server) -> None:
    """Check the rules, and post some messages that don't count."""
    check_rules(server)
    send(server.port, posts(server, WARM_UP))


def main() -> None:
    """Measure on both databases."""
    how = options()
    records = on_sqlite(how)
    with postgres_server() as postgres:
        records += on_postgresql(how, postgres)
    keep("webhooks", how, records)


if __name__ == "__main__":
    main()
