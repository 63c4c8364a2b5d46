"""What a client says of the form of an answer: content codings, ETags, and what is ignored of both."""

import gzip

import brotli
import httpx
import pytest

from tests.support.assets import asset
from tests.support.board_client import http_client
from tests.support.network.raw_http import exchange
from tests.support.served import Served

pytestmark = pytest.mark.any_database
PLAIN = {"Accept-Encoding": "identity"}

# Lines of Accept-Encoding, and whether the response is then gzipped, if it can be (RFC 9110, section 12.5.3).
CODINGS: list[tuple[list[str], bool]] = [
    ([], False),
    ([""], False),
    (["gzip"], True),
    (["GZip"], True),
    (["x-gzip"], True),
    (["gzip, deflate, br, zstd"], True),
    (["br, gzip;q=0.1"], True),
    (["br"], False),
    (["gzip;q=0"], False),
    (["gzip;q=0.0"], False),
    (["gzip;q=0.000"], False),
    (["gzip; q=0"], False),
    (["gzip ;Q=0"], False),
    (["gzip;q=0.001"], True),
    (["gzip;q=1.000"], True),
    (["*"], True),
    (["*;q=0"], False),
    (["*;q=0, gzip"], True),
    (["gzip;q=0, *"], False),
    (["gzip;q=0, *;q=1"], False),
    (["x-gzip;q=0, gzip;q=0, *"], False),
    (["identity"], False),
    (["identity, gzip"], True),
    (["identity;q=1, gzip;q=0.5"], False),
    (["identity;q=0.5, gzip"], True),
    (["identity;q=0.5, *;q=0"], False),
    (["identity, *;q=0.1"], False),
    (["identity;q=0"], True),
    (["identity;q=0, gzip;q=0"], False),
    (["identity;q=0, *;q=0"], False),
    (["*;q=0, identity;q=0, gzip;q=0.1"], True),
    (["br", "gzip"], True),
    (["br", "gzip;q=0"], False),
    (["gzip;q=0", "deflate, *"], False),
    (["gzip,,"], True),
    ([", ,gzip"], True),
    (["notgzip"], False),
    (["gzipx"], False),
    (["gzip;q=nan"], False),
    (["gzip;q=2"], False),
    (["gzip;q=-1"], False),
    (["gzip;q="], False),
    (["gzip;level=9"], True),
]


@pytest.mark.parametrize("path", ["/docs/assets/swagger-ui.css", "/api/messages", "/api/messages?limit=2"])
@pytest.mark.parametrize(("lines", "compressed"), CODINGS, ids=[" / ".join(lines) or "none" for lines, _ in CODINGS])
async def test_gzip_is_sent_to_who_wants_it(board: Served, path: str, lines: list[str], compressed: bool) -> None:
    """A file or a page of messages comes compressed if the client prefers that, is the same, and says so in Vary."""
    fields = "".join(f"Accept-Encoding: {line}\r\n" for line in lines)
    answer = await exchange(board, f"GET {path} HTTP/1.1\r\nHost: board\r\n{fields}\r\n".encode())
    plain = await exchange(board, f"GET {path} HTTP/1.1\r\nHost: board\r\n\r\n".encode())
    assert (answer.status, answer.headers.get("content-encoding")) == (200, "gzip" if compressed else None)
    assert (gzip.decompress(answer.body) if compressed else answer.body) == plain.body
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(answer.body)


# Lines of Accept-Encoding, and what then comes where there is Brotli too (RFC 7932): that only for those who name it.
WITH_BROTLI: list[tuple[list[str], str | None]] = [
    ([], None),
    (["gzip, deflate, br, zstd"], "br"),
    (["BR"], "br"),
    (["gzip", "br;q=1"], "br"),
    (["*;q=0, br;q=0.001"], "br"),
    (["br;q=0.5, gzip"], "gzip"),
    (["br;q=0, gzip;q=0.1"], "gzip"),
    (["br;q=0.5, identity"], None),
    (["br;q=0"], None),
    (["*"], "gzip"),
    (["identity;q=0"], "gzip"),
    (["brotli"], None),
]


@pytest.mark.parametrize("path", [asset("style.css"), "/"])
async def test_brotli_is_sent_to_who_names_it(board: Served, path: str) -> None:
    """A file or a document of the page comes in Brotli, in gzip or as it is, and is the same."""
    plain = await exchange(board, f"GET {path} HTTP/1.1\r\nHost: board\r\n\r\n".encode())
    decode = {"br": brotli.decompress, "gzip": gzip.decompress}
    for lines, coding in WITH_BROTLI:
        fields = "".join(f"Accept-Encoding: {line}\r\n" for line in lines)
        answer = await exchange(board, f"GET {path} HTTP/1.1\r\nHost: board\r\n{fields}\r\n".encode())
        assert answer.headers.get("content-encoding") == coding, lines
        assert (decode[coding](answer.body) if coding else answer.body) == plain.body
        assert "Accept-Encoding" in answer.headers["vary"]
        assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize(
    "path", ["/", asset("main.js"), asset("favicon.svg"), "/docs/assets/swagger-ui-bundle.js", "/api/messages"]
)
async def test_a_tag_that_codings_share_is_weak(client: httpx.AsyncClient, path: str) -> None:
    """Compressed and as it is, a file has ETags that differ or are weak."""
    plain = await client.get(path, headers=PLAIN)
    small = await client.get(path, headers={"Accept-Encoding": "gzip"})
    assert small.headers["content-encoding"] == "gzip"
    assert plain.headers["etag"] != small.headers["etag"] or plain.headers["etag"].startswith('W/"')
    assert plain.headers["vary"] == small.headers["vary"]
    assert "Accept-Encoding" in plain.headers["vary"].split(", ")


async def test_a_picture_is_not_compressed_again(client: httpx.AsyncClient) -> None:
    """What is compressed by its own format comes as it is, and depends on nothing."""
    answer = await client.get("/docs/assets/favicon.png", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-type"] == "image/png"
    assert not {"content-encoding", "vary"} & set(answer.headers)


TAGGED = ["/", asset("style.css"), "/docs/assets/favicon.png", "/api/messages", "/api/messages?limit=1"]


def tag_lines(tag: str) -> list[list[str]]:
    """Ways to say that one has what `tag` names, in lines."""
    opaque = tag.removeprefix("W/")
    return [
        [opaque],
        [f"W/{opaque}"],
        [f'"other", {opaque}'],
        [f'"other",W/{opaque} , "another"'],
        [f'"a, b", {opaque}'],
        ['"other"', opaque],
        [opaque, '"other"'],
        [f", {opaque},"],
        ["*"],
        [" * "],
    ]


def conditional(method: str, path: str, lines: list[str], *more: str) -> bytes:
    """A request with these lines of If-None-Match."""
    fields = [*(f"If-None-Match: {line}" for line in lines), *more]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: board", *fields, "", ""]).encode()


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("path", TAGGED)
async def test_what_the_client_has_is_304(board: Served, path: str, coding: str) -> None:
    """Any way to name what one has, in several tags or lines, weak or not, is 304 with the headers of the 200."""
    accept = f"Accept-Encoding: {coding}"
    whole = await exchange(board, conditional("GET", path, [], accept))
    assert whole.status == 200
    for lines in tag_lines(whole.headers["etag"]):
        for method in ("GET", "HEAD"):
            answer = await exchange(board, conditional(method, path, lines, accept), head_only=True)
            assert answer.status == 304, lines
            for name in ("etag", "vary", "cache-control", "x-content-type-options", "content-security-policy"):
                assert answer.headers.get(name) == whole.headers.get(name), name
            assert not {"content-type", "content-length", "content-encoding"} & set(answer.headers)
            assert answer.headers["date"]


@pytest.mark.parametrize("path", TAGGED)
async def test_anything_else_is_the_whole(board: Served, path: str) -> None:
    """A tag that is another's, or no tag, gets the whole answer."""
    tag = (await exchange(board, conditional("HEAD", path, []), head_only=True)).headers["etag"]
    bare = tag.removeprefix("W/").strip('"')
    for line in (
        '"other"',
        f'"{bare}x"',
        f'"x{bare}"',
        bare,
        f"'{bare}'",
        f'"{bare}',
        f'"{bare.upper()}~"',
        "",
        '"*"',
        "**",
    ):
        answer = await exchange(board, conditional("HEAD", path, [line]), head_only=True)
        assert answer.status == 200, line


IGNORED = {
    "Range": "bytes=0-1",
    "If-Range": '"other"',
    "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT",
    "If-Unmodified-Since": "Fri, 01 Jan 2100 00:00:00 GMT",
    "Accept": "image/png",
    "Accept-Language": "tlh",
    "Accept-Charset": "utf-16",
    "TE": "trailers",
    "Cookie": "a=b",
    "Max-Forwards": "0",
}


@pytest.mark.parametrize("path", [asset("style.css"), "/api/messages", "/api/board", "/docs/assets/favicon.png", "/"])
async def test_other_wishes_are_ignored(client: httpx.AsyncClient, path: str) -> None:
    """A part, another time, type or language can't be had; the whole comes instead (RFC 9110, section 14.2)."""
    answer = await client.get(path, headers=IGNORED)
    assert answer.status_code == 200
    assert answer.content == (await client.get(path)).content
    assert "content-range" not in answer.headers


async def test_a_tag_counts_more_than_a_time(client: httpx.AsyncClient) -> None:
    """With If-None-Match, If-Modified-Since decides nothing (RFC 9110, section 13.1.3)."""
    headers = {"If-None-Match": '"other"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert (await client.get(asset("style.css"), headers=headers)).status_code == 200


async def test_types_are_our_own(client: httpx.AsyncClient) -> None:
    """What kind a file is does not depend on the machine; text says that it is UTF-8."""
    types = {
        "/": "text/html; charset=utf-8",
        asset("main.js"): "text/javascript; charset=utf-8",
        asset("style.css"): "text/css; charset=utf-8",
        asset("favicon.svg"): "image/svg+xml",
    }
    for path, media_type in types.items():
        assert (await client.get(path)).headers["content-type"] == media_type


async def test_an_answer_does_not_change_with_its_origin_unless_configured(board: Served) -> None:
    """Where no other origin is configured, nothing says that an answer depends on it."""
    async with http_client(board) as client:
        answer = await client.get("/api/board", headers={"Origin": "https://other.example"})
    assert "vary" not in answer.headers


@pytest.mark.parametrize("path", ["/api/messages", "/api/messages?limit=1"])
@pytest.mark.parametrize(("had", "asked"), [("gzip", "identity"), ("identity", "gzip")])
async def test_who_has_a_page_in_one_coding_need_not_get_it_in_another(
    board: Served, path: str, had: str, asked: str
) -> None:
    """The ETag of either coding is 304, with the ETag of the coding that was asked for."""
    tags = [
        (await exchange(board, conditional("GET", path, [], f"Accept-Encoding: {each}"))).headers["etag"]
        for each in (had, asked)
    ]
    assert tags[0] != tags[1]
    answer = await exchange(board, conditional("GET", path, tags[:1], f"Accept-Encoding: {asked}"), head_only=True)
    assert (answer.status, answer.headers["etag"]) == (304, tags[1])
