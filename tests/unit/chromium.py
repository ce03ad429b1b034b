"""Chromium without a window, driven over its DevTools protocol: pages as readers get them, and what goes wrong in them."""

import json
import os
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run"
    " --remote-debugging-pipe"
)


class Browser:
    """A browser that speaks over two pipes, and its only page."""

    def __init__(self, write: Any, read: Any) -> None:
        self.write, self.read, self.number, self.session = write, read, 0, ""
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a command; what else the browser says meanwhile is kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        self.write.write(json.dumps(message).encode() + b"\0")
        self.write.flush()
        while True:
            said = self._next()
            if said.get("id") == self.number:
                assert "error" not in said, said["error"]
                return said["result"]
            self.events.append(said)

    def wait(self, method: str) -> None:
        """Wait for an event."""
        while all(event.get("method") != method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        said = bytearray()
        while (letter := self.read.read(1)) not in (b"\0", b""):
            said += letter
        assert said, "the browser has ended"
        return json.loads(said)

    def open(self, file: Path, width: int) -> None:
        """Show a file in a window of so many pixels, a phone's if it is narrow."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.events.clear()
        self.ask("Page.navigate", url=file.resolve().as_uri())
        self.wait("Page.loadEventFired")

    def evaluate(self, script: str) -> Any:
        """The value of an expression of JavaScript, in the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """Errors of the console, scripts that failed, and what the page asked for beside itself."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
            elif method == "Runtime.exceptionThrown" or (
                method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning")
            ):
                found.append(json.dumps(params))
            elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:")):
                found.append(params["request"]["url"])
        return found

    def picture(self, file: Path) -> None:
        """Write the whole page as a PNG."""
        file.write_bytes(b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a page, which ends with the block; `folder` is for what it keeps."""
    (from_us, to_browser), (from_browser, to_us) = os.pipe(), os.pipe()
    words = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={folder}", "about:blank"]
    command = ["bash", "-c", f'exec "$0" "$@" 3<&{from_us} 4>&{to_us}', *words]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, pass_fds=(from_us, to_us), **quiet)  # type: ignore[call-overload]
    os.close(from_us)
    os.close(to_us)
    with os.fdopen(to_browser, "wb") as write, os.fdopen(from_browser, "rb") as read:
        try:
            found = Browser(write, read)
            target = found.ask("Target.createTarget", url="about:blank")["targetId"]
            found.session = found.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                found.ask(f"{domain}.enable")
            yield found
        finally:
            process.terminate()
            process.wait()
