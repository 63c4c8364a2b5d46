"""What the tests of several processes share: a PostgreSQL, and clusters on it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.cluster import Cluster
from tests.support.postgres import Postgres
from tests.support.served import SECRET, free_port, paidchat, process


@pytest.fixture(scope="session")
def make_cluster(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Cluster]]:
    """Make clusters, each with a database and a sandbox of its own."""
    with ExitStack() as stack:

        def make() -> Cluster:
            data = tmp_path_factory.mktemp("sandbox")
            first, sandbox_port = free_port(), free_port()
            environment = {
                "PAIDCHAT_DATABASE_URL": postgres.create_database(),
                "PAIDCHAT_PUBLIC_URL": f"http://127.0.0.1:{first}",
                "PAIDCHAT_STRIPE_API_BASE": f"http://127.0.0.1:{sandbox_port}",
                "PAIDCHAT_RATE_LIMIT": "off",
                "PAIDCHAT_RECONCILE_SECONDS": "1",
                "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
                "STRIPE_WEBHOOK_SECRET": SECRET,
            }
            migrated = paidchat("migrate", **environment)
            assert migrated.returncode == 0, migrated.stderr
            stack.enter_context(
                process(
                    "sandbox",
                    *("--port", str(sandbox_port), "--data", str(data)),
                    *("--webhook-url", f"http://127.0.0.1:{first}/stripe/webhook", "--webhook-secret", SECRET),
                )
            )
            cluster = Cluster(
                postgres,
                environment["PAIDCHAT_DATABASE_URL"],
                environment["PAIDCHAT_STRIPE_API_BASE"],
                environment,
                stack,
            )
            cluster.start_node(first)
            return cluster

        yield make


@pytest.fixture(scope="session")
def cluster(make_cluster: Callable[[], Cluster]) -> Cluster:
    """Two boards on one database, shared by tests that leave both running."""
    made = make_cluster()
    made.start_node()
    return made
