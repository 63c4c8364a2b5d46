"""The tests' HTTP client: httpx's, with a shortcut for plain requests."""

import json
import re
import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions

# Boards under test speak plain HTTP, and loading the machine's certificates for each client takes longer than a test.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TIMEOUT_S: Final = 20
_PLAIN_PATH: Final = re.compile(r"(/[\w.~-]+)+", re.ASCII)
_PLAIN_OPTIONS: Final = frozenset({"headers", "content", "json"})
_UNSET: Final = (None, httpx.USE_CLIENT_DEFAULT)
_parse: Final = lru_cache(maxsize=1024)(httpx.URL)


class Client(httpx.AsyncClient):
    """An httpx client whose plain requests go straight to aiohttp; httpx was three quarters of their CPU.

    Plain is a path without a query, with no more than headers, and a body as bytes or as JSON.
    """

    def __init__(self, base_url: str, **options: Any) -> None:
        self._aiohttp = AiohttpTransport(verify=NO_TLS, trust_env=False)
        super().__init__(base_url=base_url, transport=self._aiohttp, trust_env=False, timeout=TIMEOUT_S, **options)
        self._origin = base_url
        self._defaults = dict(self.headers)

    async def request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Response:
        """Send a request and read the response."""
        given = {name: value for name, value in options.items() if value not in _UNSET}
        headers, body = given.get("headers", {}), given.get("content")
        is_plain = (
            given.keys() <= _PLAIN_OPTIONS
            and isinstance(url, str)
            and _PLAIN_PATH.fullmatch(url)
            and isinstance(headers, dict)
            and all(isinstance(value, str) for value in headers.values())
            and isinstance(body, bytes | None)
        )
        if not is_plain:
            return await super().request(method, url, **options)
        headers = self._defaults | {name.lower(): value for name, value in headers.items()}
        if "json" in given:
            body = json.dumps(given["json"], ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            headers.setdefault("content-type", "application/json")
        return await self._send_plainly(httpx.Request(method, _parse(f"{self._origin}{url}")), headers, body)

    async def _send_plainly(
        self, request: httpx.Request, headers: Mapping[str, str], body: bytes | None
    ) -> httpx.Response:
        if not isinstance(self._aiohttp.client, aiohttp.ClientSession):
            self._aiohttp.client = self._aiohttp.get_client()
        began = time.perf_counter()
        with map_aiohttp_exceptions():
            async with self._aiohttp.client.request(
                request.method,
                str(request.url),
                headers=headers,
                data=body,
                allow_redirects=False,
                auto_decompress=False,
                skip_auto_headers=("Content-Type",),
                timeout=aiohttp.ClientTimeout(sock_read=TIMEOUT_S),
            ) as answer:
                stream = httpx.ByteStream(await answer.read())
                response = httpx.Response(answer.status, headers=answer.raw_headers, stream=stream, request=request)
        await response.aread()
        response.elapsed = timedelta(seconds=time.perf_counter() - began)
        for hook in self.event_hooks["response"]:
            await hook(response)
        return response
