"""File descriptors: raising the limit, and logging when they run out."""

import errno
import os
import resource
from typing import Final

import structlog

from paidchat.observability import Throttle

log = structlog.get_logger(__name__)

RESERVE: Final = 100  # for the database, the log, connections to Stripe, requests in flight
_throttle = Throttle(60)


def raise_limit(viewers: int) -> None:
    """Raise the limit as far as permitted, and warn if it is too low for so many viewers.

    Child processes inherit the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS has another limit below the hard one
            log.debug("descriptors.limit_kept", limit=soft)
    if soft not in (resource.RLIM_INFINITY, -1) and soft < viewers + RESERVE:
        log.warning(
            "descriptors.limit_low",
            limit=soft,
            max_viewers=viewers,
            remedy=f"raise the limit of open files (LimitNOFILE, ulimit -n) to {viewers + RESERVE} or more, "
            f"or lower PAIDCHAT_MAX_VIEWERS to {max(1, soft - RESERVE)}",
        )


def look() -> None:
    """Log, at most once a minute, if no descriptor is left, so that new connections are dropped.

    That happens inside libuv, which accepts and closes them without telling us (`uv__emfile_trick`).
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE) and _throttle.admits():
            log.error(
                "descriptors.exhausted",
                limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                detail="new connections are refused until others close",
            )
