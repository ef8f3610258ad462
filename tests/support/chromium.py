"""A real Chromium, driven through its debugging pipe (JSON messages that end in a zero byte)."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "Chromium", "contrast", "luminance"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe")  # fmt: skip


class Chromium:
    """One page of a headless browser."""

    def __init__(self, profile: Path) -> None:
        (their_in, self._out), (self._in, their_out) = os.pipe(), os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        script = f'exec "$0" "$@" 3<&{their_in} 4>&{their_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(their_in, their_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        self._buffer, self._count = b"", 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._attach(target["targetId"])

    def _attach(self, target: str) -> None:
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events on the way are kept."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(30)
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _receive(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium does not answer"
            self._buffer += os.read(self._in, 1 << 16)
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def open(self, address: str) -> None:
        """Load a page and wait until it is complete."""
        self.events.clear()
        loader = self.call("Page.navigate", url=address)["loaderId"]
        self._wait("Page.lifecycleEvent", name="load", loaderId=loader)

    def _wait(self, method: str, **params: str) -> None:
        """Wait for an event of this tab."""

        def fits(event: dict[str, Any]) -> bool:
            ours = event["method"] == method and event.get("sessionId") == self._session
            return ours and params.items() <= event["params"].items()

        while not any(map(fits, self.events)):
            self.events.append(self._receive(30))

    def tab(self) -> str:
        """Open another tab and turn to it; returns what `turn` takes."""
        session, self._session = self._session, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._attach(target)
        assert session is not None
        return session

    def turn(self, session: str) -> str:
        """Turn to another tab, which is seen from then on; returns the one that was turned to before."""
        before, self._session = self._session, session
        assert before is not None
        self.call("Page.bringToFront")
        return before

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Wait until an expression is true on the page, also while it is loaded anew; returns its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.ask(expression)):
            assert time.monotonic() < deadline, f"{expression} is not true of {self.ask('document.body.innerText')}"
            time.sleep(0.1)
        return value

    def follow(self, expression: str) -> None:
        """Do something that loads another page, and wait until that is complete."""
        self.events.clear()
        self.call("Runtime.evaluate", expression=expression)
        self._wait("Page.loadEventFired")

    def choose(self, selector: str, *files: Path) -> None:
        """Give files to a field of a form."""
        field = self.call("Runtime.evaluate", expression=f"document.querySelector('{selector}')")["result"]["objectId"]
        self.call("DOM.setFileInputFiles", objectId=field, files=[str(file) for file in files])

    def press(self, key: str, code: int) -> None:
        """Press a key: its name, and its virtual code."""
        text = {"text": chr(code)} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def picture(self, path: Path) -> None:
        """Write what the viewport shows as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def resize(self, width: int, height: int) -> None:
        """Give the page a viewport."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def ask(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def close(self) -> None:
        """End the browser."""
        self._session = None
        os.write(self._out, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)


def luminance(browser: Chromium, expression: str) -> float:
    """Relative luminance of a CSS colour `rgb(r, g, b)` (WCAG 2.2)."""
    text = browser.ask(expression)
    channels = [int(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: float, second: float) -> float:
    """Contrast ratio of two luminances, 1..21 (WCAG 2.2)."""
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)
