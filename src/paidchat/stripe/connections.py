"""Connections to Stripe, kept open between calls."""

import ssl
from collections.abc import Mapping

from paidchat import proxies
from paidchat.companions import left_out

# The command of the same name would import rich and pygments: 100 ms and 5 MiB at every start.
with left_out("rich", "pygments", "click"):
    import httpx


class Connections:
    """The part of `httpx.AsyncClient` that the SDK uses, for a server that is reached without a proxy.

    It is httpx's transport, with its pool, but without what its client adds: cookies, redirects, hooks and a log entry,
    of which Stripe needs none. 32 calls at once cost 2.8 ms of CPU each instead of 3.9
    (`docs/decisions/0021-what-a-call-to-stripe-costs.md`). Raises httpx's errors.
    """

    def __init__(self, verify: ssl.SSLContext) -> None:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)  # as httpx's client has them
        self._transport = httpx.AsyncHTTPTransport(verify=verify, limits=limits)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: str | Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - httpx's signature
    ) -> httpx.Response:
        """Send a request with a form that is already encoded, and read the whole response.

        `timeout` is that of each step: connecting, and every read and write. `data` is empty, or a string.
        """
        request = httpx.Request(
            method,
            url,
            headers=headers,
            content=data if isinstance(data, str) else None,
            extensions={"timeout": httpx.Timeout(timeout).as_dict()},
        )
        response = await self._transport.handle_async_request(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._transport.aclose()


def client_kind(*, is_local: bool) -> type[httpx.AsyncClient | Connections]:
    """Return what the SDK should make its client of: httpx's if the environment's proxies are to be used."""
    return httpx.AsyncClient if proxies.names() and not is_local else Connections
