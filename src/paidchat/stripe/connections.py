"""Connections to Stripe, kept open between calls."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import httpcore

from paidchat import proxies
from paidchat.companions import left_out

# The command of the same name would import rich and pygments: 100 ms and 5 MiB at every start.
with left_out("rich", "pygments", "click"):
    import httpx

# As httpx's client has them by default.
MAX_CONNECTIONS: Final = 100
MAX_IDLE: Final = 20
IDLE_S: Final = 5


class Connections:
    """The part of `httpx.AsyncClient` that the SDK uses, for a server that is reached without a proxy.

    The connection used last is taken first. httpx's client asks the kernel about every idle connection, twice a
    request: with it, 32 calls at once cost 3.9 ms of CPU each, its cookies, redirects and logs included; here 1.6 ms
    (`docs/decisions/0021-what-a-call-to-stripe-costs.md`). Raises httpcore's errors.
    """

    def __init__(self, verify: ssl.SSLContext) -> None:
        self._tls = verify
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[httpcore.AsyncHTTPConnection] = []

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
        address = httpcore.URL(url)
        content = data.encode() if isinstance(data, str) else b""
        lines = [("Host", _host(address)), *headers.items()]
        if content:
            lines.append(("Content-Length", str(len(content))))
        request = httpcore.Request(
            method.upper(),
            address,
            headers=lines,
            content=content,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write"), timeout)},
        )
        async with self._free:
            return await self._send(request)

    async def _send(self, request: httpcore.Request) -> httpx.Response:
        connection = await self._take(request.url.origin)
        try:
            answer = await connection.handle_async_request(request)
            try:
                body = await answer.aread()
            finally:
                await answer.aclose()
        finally:
            # After an error or a cancellation, httpcore has closed it; "idle" also means that it could not connect.
            if connection.is_idle() and not connection.is_closed() and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
            else:
                await connection.aclose()
        return httpx.Response(answer.status, headers=answer.headers, content=body)

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """Return the connection used last, if it is still open, or else a new one; close the oldest if it expired."""
        if self._idle and self._idle[0].has_expired():
            await self._idle.pop(0).aclose()
        while self._idle:
            connection = self._idle.pop()
            if connection.can_handle_request(origin) and not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(origin, ssl_context=self._tls, keepalive_expiry=IDLE_S)

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().aclose()


def client_kind(*, is_local: bool) -> type[httpx.AsyncClient | Connections]:
    """Return what the SDK should make its client of: httpx's if the environment's proxies are to be used."""
    return httpx.AsyncClient if proxies.names() and not is_local else Connections


def _host(address: httpcore.URL) -> str:
    """Return the Host header of a URL: its port is left out if it is the scheme's."""
    host = address.host.decode()
    host = f"[{host}]" if ":" in host else host
    return host if address.port is None else f"{host}:{address.port}"
