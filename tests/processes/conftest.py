"""Fixtures for tests with several processes: a PostgreSQL, and clusters on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running_cluster
from tests.support.postgres import Postgres


@pytest.fixture
def own_cluster(postgres: Postgres, tmp_path: Path) -> Iterator[Cluster]:
    """A board on its own database."""
    with running_cluster(postgres, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two boards on one database, shared by tests that leave both running."""
    with running_cluster(postgres, tmp_path_factory.mktemp("sandbox")) as made:
        made.start_node()
        yield made
