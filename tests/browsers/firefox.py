"""Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it supports without a driver."""

import base64
import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.browsers.tab import Tab

ANSWER_S = 60
LISTENING = "WebDriver BiDi listening on "
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "browser.startup.homepage": "about:blank",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}


class Firefox:
    """A running Firefox and the connection to it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)
        self._errors: list[str] = []
        session = self.command("session.new", capabilities={"alwaysMatch": {}})
        self.version: str = session["capabilities"]["browserVersion"]
        self.command("session.subscribe", events=["log.entryAdded"])

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; raises AssertionError with the browser's message."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=ANSWER_S))
            if message.get("method") == "log.entryAdded":
                self._note(message["params"])
            if message.get("id") == number:
                assert message["type"] == "success", f"{method}: {message.get('message')}"
                return dict(message["result"])

    def open(self) -> Tab:
        """Open another tab."""
        context = self.command("browsingContext.create", type="tab")["context"]
        self.command("browsingContext.setViewport", context=context, viewport={"width": 900, "height": 800})
        return FirefoxTab(self, context)

    def complaints(self) -> list[str]:
        """Return the errors of all consoles so far."""
        self.command("session.status")  # everything sent before its response has been read then
        return list(self._errors)

    def _note(self, entry: dict[str, Any]) -> None:
        if entry["level"] == "error":
            self._errors.append(str(entry.get("text")))


class FirefoxTab(Tab):
    """One tab of Firefox."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox = firefox
        self._context = context

    def go_to(self, url: str) -> None:
        """Open a URL and return when it is loaded."""
        self._command("browsingContext.navigate", url=url, wait="complete")

    def click(self, selector: str) -> None:
        """Click an element."""
        nodes = self._command("browsingContext.locateNodes", locator={"type": "css", "value": selector})["nodes"]
        assert nodes, f"there is no {selector}"
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'nearest'}})")
        origin = {"type": "element", "element": {"sharedId": nodes[0]["sharedId"]}}
        moves = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._command("input.performActions", actions=[{"type": "pointer", "id": "mouse", "actions": moves}])

    def type(self, selector: str, text: str) -> None:
        """Type a text into an element."""
        self.click(selector)
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._command("input.performActions", actions=[{"type": "key", "id": "keys", "actions": keys}])

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, as JSON."""
        told = self._firefox.command(
            "script.evaluate",
            expression=f"JSON.stringify([{expression}])",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert told["type"] == "success", f"{expression}: {told['exceptionDetails']['text']}"
        return json.loads(told["result"]["value"])[0]

    def show(self) -> None:
        """Bring the tab to the front."""
        self._command("browsingContext.activate")

    def capture(self) -> bytes:
        """Return the visible part as a PNG."""
        return base64.b64decode(self._command("browsingContext.captureScreenshot")["data"])

    def _command(self, method: str, **params: Any) -> dict[str, Any]:
        return self._firefox.command(method, context=self._context, **params)


class FirefoxKind:
    """Debian's Firefox, or any other on the PATH."""

    name = "Firefox"
    packages: tuple[str, ...] = ("firefox-esr",)

    def find(self) -> Path | None:
        """Return its program."""
        found = shutil.which("firefox-esr") or shutil.which("firefox")
        return Path(found) if found else None

    @contextlib.contextmanager
    def start(self, folder: Path) -> Iterator[Firefox]:
        """Run it with its own profile until the block ends."""
        profile = folder / "profile"
        profile.mkdir()
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
        (profile / "user.js").write_text("".join(lines))
        arguments = ("--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
        program = self.find()
        assert program
        with subprocess.Popen(
            [program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                with connect(f"{_address(process)}/session", max_size=None, proxy=None) as socket:
                    yield Firefox(socket)
            finally:
                process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    """Read the address that Firefox listens on from its output at the start."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if LISTENING in line:
            threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would block it
            return line.partition(LISTENING)[2].strip()
    raise AssertionError(f"Firefox did not start: {''.join(said[-5:])}")
