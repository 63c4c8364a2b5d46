"""WebKitGTK, the engine of GNOME Web and a relative of Safari's, driven by WebDriver (w3.org/TR/webdriver2)."""

import base64
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.browsers.tab import Tab
from tests.support.served import free_port

ANSWER_S = 60
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key by which the protocol names elements
BROWSER = "webkit2gtk-4.1/MiniBrowser"
LIBRARIES = ("/usr/lib", "/usr/libexec", "/usr/lib64")


class WebKit:
    """A running MiniBrowser and the session with its driver."""

    def __init__(self, http: httpx.Client, browser: Path) -> None:
        self._http = http
        options = {"binary": str(browser), "args": ["--automation"]}
        wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        session = self._call("POST", "/session", capabilities=wanted)
        self._path = f"/session/{session['sessionId']}"
        self.version: str = session["capabilities"]["browserVersion"]
        self._first: str | None = self.command("GET", "window")
        self._shown = self._first

    def command(self, method: str, path: str, **params: Any) -> Any:
        """Send a command of the session and return its value; raises AssertionError with the driver's message."""
        return self._call(method, f"{self._path}/{path}", **params)

    def show(self, handle: str) -> None:
        """Switch to this window for the commands that follow."""
        if handle != self._shown:
            self.command("POST", "window", handle=handle)
            self._shown = handle

    def open(self) -> Tab:
        """Open another window."""
        handle, self._first = self._first, None
        handle = handle or self.command("POST", "window/new", type="window")["handle"]
        tab = WebKitTab(self, str(handle))
        self.show(str(handle))
        self.command("POST", "window/rect", width=900, height=900)
        return tab

    def complaints(self) -> None:
        """Return None: this protocol does not report console messages."""

    def close(self) -> None:
        """End the session, and the browser with it."""
        self._call("DELETE", self._path)

    def _call(self, method: str, path: str, **params: Any) -> Any:
        answer = self._http.request(method, path, json=params if method == "POST" else None)
        value = answer.json()["value"]
        assert answer.is_success, f"{path}: {value.get('error')}: {value.get('message')}"
        return value


class WebKitTab(Tab):
    """One window of WebKitGTK."""

    def __init__(self, webkit: WebKit, handle: str) -> None:
        self._webkit = webkit
        self._handle = handle

    def go_to(self, url: str) -> None:
        """Open a URL and return when it is loaded."""
        self._command("POST", "url", url=url)

    def click(self, selector: str) -> None:
        """Click an element."""
        self._command("POST", f"element/{self._find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Type a text into an element."""
        self._command("POST", f"element/{self._find(selector)}/value", text=text)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, as JSON."""
        return self._command("POST", "execute/sync", script=f"return {expression}", args=[])

    def show(self) -> None:
        """Do nothing: each tab is its own window."""

    def capture(self) -> bytes:
        """Return the visible part as a PNG."""
        return base64.b64decode(self._command("GET", "screenshot"))

    def _find(self, selector: str) -> str:
        return str(self._command("POST", "element", using="css selector", value=selector)[ELEMENT])

    def _command(self, method: str, path: str, **params: Any) -> Any:
        self._webkit.show(self._handle)
        return self._webkit.command(method, path, **params)


class WebKitKind:
    """Debian's WebKitGTK."""

    name = "WebKitGTK"
    packages: tuple[str, ...] = ("webkit2gtk-driver", "xvfb")

    def find(self) -> Path | None:
        """Return its program, if the driver and a virtual screen are installed too."""
        folders = (Path(folder) for folder in LIBRARIES)
        places = (place for folder in folders for place in (folder, *folder.glob("*-linux-gnu*")))
        browser = next((place / BROWSER for place in places if (place / BROWSER).exists()), None)
        return browser if shutil.which("WebKitWebDriver") and shutil.which("Xvfb") else None

    @contextlib.contextmanager
    def start(self, folder: Path) -> Iterator[WebKit]:
        """Run it on its own virtual screen until the block ends."""
        browser, port = self.find(), free_port()
        assert browser
        with _screen() as display:
            environment = {
                **os.environ,
                "DISPLAY": display,
                "GDK_BACKEND": "x11",
                "HOME": str(folder),
                "XDG_RUNTIME_DIR": str(folder),
                "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",  # root can't set it up; the pages are our own
                "LIBGL_ALWAYS_SOFTWARE": "1",
                "NO_AT_BRIDGE": "1",
            }
            driver = ["WebKitWebDriver", f"--port={port}"]
            with subprocess.Popen(
                driver, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                try:
                    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S, trust_env=False) as http:
                        _wait_for(http)
                        webkit = WebKit(http, browser)
                        yield webkit
                        webkit.close()
                finally:
                    process.kill()


@contextlib.contextmanager
def _screen() -> Iterator[str]:
    """Run a virtual screen until the block ends; yields its name."""
    arguments = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            number = process.stdout.readline().strip()
            assert number, "Xvfb did not start"
            yield f":{number}"
        finally:
            process.terminate()


def _wait_for(http: httpx.Client) -> None:
    deadline = time.monotonic() + ANSWER_S
    while True:
        with contextlib.suppress(httpx.TransportError):
            if http.get("/status").is_success:
                return
        assert time.monotonic() < deadline, "WebKitWebDriver did not start"
        time.sleep(0.05)
