"""GET /healthz, /readyz and /metrics, for the operator."""

import asyncio
import time
from datetime import timedelta
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field

from paidchat import wire
from paidchat.api.contract.responses import problems, success
from paidchat.api.deps import Services, TheServices
from paidchat.api.problems import ApiError, FieldError
from paidchat.storage import schema
from paidchat.storage.database import DatabaseUnavailable

router = APIRouter(tags=["operation"])

HEALTH_PATH = "/healthz"
DATABASE_TIMEOUT_S = 2
STALE_S = 5
STALE_LISTENER_S = 10
TASK_DOWN = (
    "This background task ended and is restarted by itself. The log has the cause as background.ended. "
    "If this lasts, restart the process."
)


class Health(wire.Shape):
    """The process responds."""

    status: Literal["ok"] = "ok"


class Readiness(Health):
    """The process can serve; with the state of each part."""

    database: Literal["ok"] = "ok"
    schema_: Literal["ok", "newer"] = Field(
        default="ok",
        serialization_alias="schema",
        description="`newer`: a newer program has migrated the database, and this one may still use it.",
    )
    feed: Literal["ok"] = "ok"
    listener: Literal["ok", "reconnecting", "not needed"] = Field(
        description="PostgreSQL's notifications. `reconnecting`: the feed polls meanwhile. SQLite needs none."
    )


@router.get(
    HEALTH_PATH,
    operation_id="get_health",
    summary="Is the process alive?",
    responses={200: success("It is.", example="alive"), **problems()},
)
async def healthz() -> Health:
    """Check that the process responds. This depends on nothing else, so it is always fast."""
    return Health()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Can the process serve?",
    responses={
        200: success("It can.", example="ready"),
        **problems("not_ready"),
    },
)
async def readyz(services: TheServices) -> Readiness:
    """Check whether to send traffic here: the database responds, its schema is usable, the feed keeps up with the log.

    A background task that ended makes it 503 until it runs again. A listener that lost its connection is only reported,
    since the feed polls until it is back. A pooler that shares sessions makes it 503: most requests would fail.
    """
    found = await _schema(services)
    failures = _failures(services, found)
    if found is None or failures:
        raise ApiError(503, "not_ready", "This process cannot serve just now: see errors.", errors=failures)
    newer = found.fit is schema.Fit.NEWER
    return Readiness(schema_="newer" if newer else "ok", listener=_listener(services))


async def _schema(services: Services) -> schema.Schema | None:
    """Return the database's schema; None if the database does not respond."""
    try:
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            return await services.database.read(schema.examine)
    except (DatabaseUnavailable, TimeoutError):
        return None


def _failures(services: Services, found: schema.Schema | None) -> list[FieldError]:
    failures = [FieldError(field=task, message=TASK_DOWN) for task in services.background.down()]
    if time.monotonic() - services.feed.read_at > STALE_S:
        failures.append(FieldError(field="feed", message="The log was not read for a while."))
    if found is None:
        failures.insert(0, FieldError(field="database", message="The database does not answer."))
    elif not found.usable:
        failures.insert(0, FieldError(field="schema", message=f"{found.words} {found.remedy}"))
    if services.listener and services.listener.fault:
        failures.append(FieldError(field="listener", message=services.listener.fault))
    return failures


def _listener(services: Services) -> Literal["ok", "reconnecting", "not needed"]:
    if services.listener is None:
        return "not needed"
    heard_at = services.listener.heard_at
    return "ok" if heard_at is not None and time.monotonic() - heard_at <= STALE_LISTENER_S else "reconnecting"


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: success("In Prometheus's text format.", example="metrics", media_type="text/plain"),
        **problems(),
    },
)
async def metrics(services: TheServices) -> Response:
    """Return the metrics for Prometheus. docs/operations.md says what they mean and which to alert on."""
    services.metrics.viewers.set(services.connection_limit.count)
    services.metrics.clock_offset.set((services.gateway.clock.offset or timedelta(0)).total_seconds())
    services.metrics.log_position.set(services.feed.seq)
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)
