"""The page's files: under addresses that name their content, and kept for good."""

import os
import re
import shutil
from pathlib import Path
from posixpath import dirname, join, normpath

import httpx
import pytest

from paidchat.app import FRONTEND
from paidchat.pages.assets import Tree
from tests.support.assets import asset
from tests.support.board_client import http_client
from tests.support.documents import Element, parse
from tests.support.served import Served, served_board

pytestmark = pytest.mark.any_database
OTHER = "/assets/0123456789abcdef"
IMPORT = re.compile(r"""(?:\bfrom|^import)\s*["'](\.[^"']+)["']""", re.MULTILINE)


async def linked(client: httpx.AsyncClient) -> Element:
    """Return the document of the board."""
    return parse((await client.get("/")).text)


def addresses(document: Element) -> dict[str, str]:
    """Return the address of everything that a document loads, and the kind of the link."""
    found = {link.attributes["href"]: link.attributes["rel"] for link in document.all("link")}
    found |= {script.attributes["src"]: "script" for script in document.all("script") if "src" in script.attributes}
    return {address: kind for address, kind in found.items() if kind not in {"canonical", "alternate"}}


async def test_what_the_document_loads_is_kept_for_good(client: httpx.AsyncClient) -> None:
    """Each script, style and icon has the address of its content, and is immutable there; the manifest is not."""
    loads = addresses(await linked(client))
    assert set(loads.values()) == {"icon", "apple-touch-icon", "manifest", "stylesheet", "modulepreload", "script"}
    for address, kind in loads.items():
        answer = await client.get(address)
        assert answer.status_code == 200, address
        if kind == "manifest":
            assert answer.headers["cache-control"] == "no-cache"
            icons = answer.json()["icons"]
            assert [(await client.get(icon["src"])).headers["content-type"] for icon in icons] == ["image/png"] * 2
            continue
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-security-policy"] == "default-src 'none'"
        if kind in {"icon", "apple-touch-icon"}:
            assert answer.content == (FRONTEND / address.split("/", 3)[3]).read_bytes()
        again = await client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def imported(client: httpx.AsyncClient, entry: str) -> set[str]:
    """Return a module's address and those of all that it imports, directly or not."""
    found, to_read = {entry}, [entry]
    while to_read:
        address = to_read.pop()
        for path in IMPORT.findall((await client.get(address)).text):
            module = normpath(join(dirname(address), path))
            to_read += [] if module in found else [module]
            found.add(module)
    return found


async def test_every_module_is_preloaded(client: httpx.AsyncClient) -> None:
    """The links to modules are those that the page's script imports, directly or not, each once, and no others.

    Those that only buying takes wait in a template until the page wants them.
    """
    document = await linked(client)
    later = [link.attributes["href"] for link in document.one("template", id="desk").all("link")]
    links = [link.attributes["href"] for link in document.all("link") if link.attributes["rel"] == "modulepreload"]
    at_once = [address for address in links if address not in later]
    entry = next(script.attributes["data-page"] for script in document.all("script") if "src" in script.attributes)
    reading, buying = await imported(client, entry), await imported(client, asset("buying/desk.js"))
    assert sorted(at_once) == sorted(reading)
    assert sorted(later) == sorted(buying - reading)
    assert not [address for address in at_once if "/buying/" in address]


async def test_a_first_visit_is_small(client: httpx.AsyncClient) -> None:
    """What a browser loads before it can read the board is compressed and has at most 40 KiB, heads included."""
    document = await client.get("/", headers={"Accept-Encoding": "gzip"})
    kinds = addresses(parse(document.text))
    later = {link.attributes["href"] for link in parse(document.text).one("template", id="desk").all("link")}
    code = {address for address, kind in kinds.items() if kind in {"stylesheet", "modulepreload", "script"}}
    answers = [document, *[await client.get(address, headers={"Accept-Encoding": "gzip"}) for address in code - later]]
    heads = sum(len(name) + len(value) + 4 for answer in answers for name, value in answer.headers.raw)
    assert sum(answer.num_bytes_downloaded for answer in answers) + heads <= 40 * 1024


async def test_code_comes_without_its_comments(client: httpx.AsyncClient) -> None:
    """Scripts and styles are served without the comments that have their own lines; the others keep their numbers."""
    names = [Path(address).name for address in addresses(await linked(client)) if address.endswith((".js", ".css"))]
    files = [path for path in (*FRONTEND.glob("*.*"), *FRONTEND.glob("*/*.*")) if path.name in names]
    assert len(files) > 10
    for path in files:
        served = (await client.get(asset(path.relative_to(FRONTEND).as_posix()))).text
        lines = path.read_text().splitlines()
        assert len(served.splitlines()) == len(lines)
        assert not re.search(r"^\s*(/\*\*?$|//)", served, re.MULTILINE), path
        kept = [line for line in served.splitlines() if line]
        assert kept == [line for line in lines if line in set(kept)], path


async def test_a_picture_comes_as_it_is(client: httpx.AsyncClient) -> None:
    """What is compressed by its own format is not compressed again, and depends on nothing."""
    answer = await client.get(asset("icons/192.png"), headers={"Accept-Encoding": "br, gzip"})
    assert not {"content-encoding", "vary"} & set(answer.headers)


async def test_another_tree_is_served_but_not_kept(client: httpx.AsyncClient) -> None:
    """Under another version's address the file comes as it is here, but is not stored; nor is a 404."""
    found = await client.get(f"{OTHER}/main.js")
    assert (found.status_code, found.headers["cache-control"]) == (200, "no-store")
    assert "etag" not in found.headers
    assert found.content == (await client.get(asset("main.js"))).content
    for address in (
        f"{OTHER}/gone.js",
        asset("gone.js"),
        asset("package.json"),
        asset("types.d.ts"),
        asset("node_modules/typescript/README.md"),
        asset("../../../etc/passwd"),
        asset("%2e%2e/main.js"),
        "/assets/main.js",
        "/assets/0123456789ABCDEF/main.js",
        "/assets/0123/main.js",
        "/main.js",
        "/style.css",
        "/index.html",
        "/reading/board.js",
    ):
        answer = await client.get(address)
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store"), address


def test_the_digest_names_every_file(tmp_path: Path) -> None:
    """A file in a subfolder that changes, moves, comes or goes changes the digest; development files don't."""
    folder = tmp_path / "frontend"
    shutil.copytree(FRONTEND, folder, ignore=shutil.ignore_patterns("node_modules"))
    digests = [Tree(FRONTEND).digest, Tree(folder).digest]
    assert digests[0] == digests[1]
    (folder / "package.json").write_text("{}")
    (folder / ".hidden.js").write_text("")
    assert Tree(folder).digest == digests[0]
    module = folder / "reading/board.js"
    for change in (
        lambda: module.write_bytes(module.read_bytes() + b"\n"),
        lambda: module.rename(folder / "reading/moved.js"),
        lambda: (folder / "reading/new.js").write_text(""),
        (folder / "style.css").unlink,
    ):
        change()
        digests.append(Tree(folder).digest)
    assert len(set(digests)) == 5


async def test_in_the_demo_a_changed_file_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sandbox, a changed file gets a new address at the next load, although the board has not changed."""
    folder = tmp_path / "frontend"
    shutil.copytree(FRONTEND, folder, ignore=shutil.ignore_patterns("node_modules"))
    monkeypatch.setattr("paidchat.app.FRONTEND", folder)
    with served_board(tmp_path) as served:
        async with http_client(served) as client:
            before = await client.get("/")
            had = {"If-None-Match": before.headers["etag"]}
            assert (await client.get("/", headers=had)).status_code == 304
            style = folder / "style.css"
            style.write_text(f"{style.read_text()}.changed {{}}")
            os.utime(style, ns=(1, 1))
            after = await client.get("/", headers=had)
            assert after.status_code == 200
            sheets = [
                next(link.attributes["href"] for link in parse(each.text).all("link", rel="stylesheet"))
                for each in (before, after)
            ]
            assert sheets[0] != sheets[1]
            assert (await client.get(sheets[1])).text.endswith(".changed {}")


async def test_every_page_finds_its_icon(board: Served) -> None:
    """The icons that pages link exist, and so does the one that browsers request by default."""
    async with http_client(board) as client:
        for page in ("/", "/m/0", "/docs", "/sandbox/", "/sandbox/pay/cs_test_nowhere"):
            named = re.findall(r'<link rel="icon" href="([^"]+)"', (await client.get(page)).text)
            assert named, page
            for icon in (*named, "/favicon.ico"):
                answer = await client.get(icon)
                assert answer.status_code == 200, f"{page}: {icon}"
                assert answer.headers["content-type"].startswith("image/"), f"{page}: {icon}"


async def test_they_are_counted_as_a_route_of_their_own(client: httpx.AsyncClient) -> None:
    """The metrics have one route for all of them, whether there is such a file or not."""

    async def counted(status: int) -> float:
        name = f'paidchat_requests_total{{route="/assets/{{digest}}/{{path}}",status="{status}"}} '
        lines = (await client.get("/metrics")).text.splitlines()
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    before = [await counted(200), await counted(404)]
    await client.get(f"{OTHER}/main.js")
    await client.get(f"{OTHER}/nothing.js")
    await client.get("/assets/nothing")
    assert [await counted(200), await counted(404)] == [before[0] + 1, before[1] + 2]
