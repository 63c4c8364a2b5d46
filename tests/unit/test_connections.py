"""The connections to Stripe, against a server that is told how to behave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from paidchat.stripe.connections import Connections

OK = b"HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 2\r\n\r\n{}"
LAST = OK.replace(b"Date", b"Connection: close\r\nDate")


@dataclass
class Peer:
    """A server that reads requests, and answers each with what it is given."""

    url: str = ""
    answer: Callable[[], bytes | None] = lambda: OK  # None: no answer
    opened: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    heads: list[str] = field(default_factory=list)
    forms: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until the client closes it."""
        self.opened += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
                self.forms.append(await reader.readexactly(int(length or 0)))
                await asyncio.sleep(0.01)  # so that calls made at once overlap
                answer = self.answer()
                writer.write(answer or b"")
                if answer == LAST:
                    break
        self.closed.set()
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Peer, Connections]]:
    """Serve a peer, with connections to it."""
    peer = Peer()
    connections = Connections(ssl.create_default_context())
    async with await asyncio.start_server(peer.serve, "127.0.0.1") as server:
        peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield peer, connections
        await connections.aclose()


async def post(connections: Connections, url: str, patience_s: float = 5) -> httpx.Response:
    """Post a form."""
    return await connections.request("post", f"{url}/v1/x?a=b", headers={"K": "v"}, data="c=d%20e", timeout=patience_s)


async def test_a_form_arrives_as_it_was_given() -> None:
    """A POST brings its form, length, host and headers; a GET has no form and so no length."""
    async with serving() as (peer, connections):
        answer = await post(connections, peer.url)
        await connections.request("get", f"{peer.url}/v1/x", headers={}, data={}, timeout=5)
    assert (answer.status_code, answer.headers["DATE"], answer.content) == (200, "today", b"{}")
    host = peer.url.removeprefix("http://")
    assert peer.heads[0] == f"POST /v1/x?a=b HTTP/1.1\r\nHost: {host}\r\nK: v\r\nContent-Length: 7\r\n\r\n"
    assert peer.heads[1] == f"GET /v1/x HTTP/1.1\r\nHost: {host}\r\n\r\n"
    assert peer.forms == [b"c=d%20e", b""]


async def test_a_connection_is_used_again() -> None:
    """Calls one after the other share a connection, even after several at once had one each."""
    async with serving() as (peer, connections):
        await asyncio.gather(*(post(connections, peer.url) for _ in range(3)))
        assert peer.opened == 3
        for _ in range(5):
            await post(connections, peer.url)
        assert peer.opened == 3


async def test_a_connection_that_the_server_closed_is_not_used() -> None:
    """A server may end a connection with an answer, or afterwards: the next call opens another."""
    async with serving() as (peer, connections):
        peer.answer = lambda: LAST
        assert (await post(connections, peer.url)).content == b"{}"
        peer.answer = lambda: OK
        assert (await post(connections, peer.url)).content == b"{}"
        assert peer.opened == 2


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", OK.replace(b": 2", b": 9"), None])
async def test_a_connection_that_failed_is_closed(answer: bytes | None) -> None:
    """After an answer that is no HTTP, incomplete or late, the connection is closed, and the next call is served."""
    async with serving() as (peer, connections):
        peer.answer = lambda: answer
        with pytest.raises((httpx.ProtocolError, httpx.ReadTimeout)):
            await post(connections, peer.url, patience_s=0.2)
        async with asyncio.timeout(5):
            await peer.closed.wait()
        peer.answer = lambda: OK
        assert (await post(connections, peer.url)).status_code == 200
        assert peer.opened == 2


async def test_a_call_that_is_cancelled_closes_its_connection() -> None:
    """Its answer would otherwise be read as that of the next call."""
    async with serving() as (peer, connections):
        peer.answer = lambda: None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await post(connections, peer.url)
        async with asyncio.timeout(5):
            await peer.closed.wait()
        peer.answer = lambda: OK
        assert (await post(connections, peer.url)).status_code == 200


async def test_a_server_that_cannot_be_reached_is_told() -> None:
    """A refused connection is an error, and does not stand in the way of later calls."""
    async with serving() as (peer, connections):
        with pytest.raises(httpx.ConnectError):
            await post(connections, "http://127.0.0.1:1")
        assert (await post(connections, peer.url)).status_code == 200
