"""A relay that adds TLS to PostgreSQL, because the server in the tests' wheel is built without it."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy.engine import URL

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


def make_certificate(folder: Path) -> Path:
    """Make a self-signed certificate for `localhost` only, and return its path; the key is beside it."""
    certificate, key = folder / "server.pem", folder / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names.split(), *files], check=True, capture_output=True)
    return certificate


@contextlib.asynccontextmanager
async def tls_relay(folder: Path, target: URL) -> AsyncIterator[int]:
    """Relay TLS connections to a server, using PostgreSQL's SSLRequest message; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificate(folder), folder / "server.key")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                socket = str(target.query.get("host", ""))
                if socket:
                    onward = await asyncio.open_unix_connection(f"{socket}/.s.PGSQL.{target.port or 5432}")
                else:
                    onward = await asyncio.open_connection(target.host, target.port or 5432)
                await asyncio.gather(_pump(reader, onward[1]), _pump(onward[0], writer))
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
