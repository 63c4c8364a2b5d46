"""GET /healthz, /readyz and /metrics: for whoever runs the board."""

import time

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from paidchat.api.deps import Running
from paidchat.api.problems import ApiError, responses
from paidchat.storage import queries

router = APIRouter(tags=["operation"])

STALE_FEED_S = 5


class Health(BaseModel):
    """All is well."""

    status: str = "ok"


@router.get("/healthz", responses=responses())
async def healthz() -> Health:
    """Tell that the process answers. It asks nothing of anybody, so it is always fast."""
    return Health()


@router.get("/readyz", responses=responses(503))
async def readyz(services: Running) -> Health:
    """Tell whether traffic should come here: the database answers and the feed follows its log."""
    try:
        async with services.database.reading() as connection:
            await queries.ping(connection)
    except (SQLAlchemyError, OSError):
        raise ApiError(503, "not_ready", "The database does not answer.") from None
    if time.monotonic() - services.feed.read_at > STALE_FEED_S:
        raise ApiError(503, "not_ready", "The feed has not read its log for a while.")
    return Health()


@router.get("/metrics", response_class=Response, responses=responses())
async def metrics(services: Running) -> Response:
    """Give the figures to Prometheus."""
    services.metrics.viewers.set(services.viewers.count)
    services.metrics.log_position.set(services.feed.seq)
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)
