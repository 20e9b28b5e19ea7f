"""A browser that tests look through: Chromium without a window, told what to do over a pipe (DevTools protocol)."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import attrs


@attrs.define
class Browser:
    """One page of a browser; made by :func:`browser`.

    Args:
        commands: Where commands go.
        answers: Where answers and events come from.
        session: The page that they are for.
        requested: Addresses of everything that was asked for by now, in order.
        complaints: What pages and the browser wrote on the console as an error.
    """

    commands: BinaryIO
    answers: BinaryIO
    session: str = ""
    requested: list[str] = attrs.field(factory=list)
    complaints: list[str] = attrs.field(factory=list)
    _number: int = 0
    _loaded: bool = False

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol, and give its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        self.commands.write(json.dumps(command).encode() + b"\0")
        self.commands.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, address: str) -> None:
        """Open a page, and wait until all of it is there."""
        self._loaded = False
        self.call("Page.navigate", url=address)
        while not self._loaded:
            self._read()

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str, within: float = 10.0) -> Any:
        """The first value of an expression that is not nothing."""
        end = time.monotonic() + within
        while not (value := self.run(script)):
            assert time.monotonic() < end, script
            time.sleep(0.05)
        return value

    def width(self, pixels: int) -> None:
        """Have a window of that width."""
        self.call("Emulation.setDeviceMetricsOverride", width=pixels, height=900, deviceScaleFactor=1, mobile=False)

    def scheme(self, name: str) -> None:
        """Prefer ``light`` or ``dark``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def _read(self) -> dict[str, Any]:
        content = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            assert byte, "the browser has ended"
            content += byte
        answer: dict[str, Any] = json.loads(content)
        match answer.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requested.append(answer["params"]["request"]["url"])
            case "Log.entryAdded" if answer["params"]["entry"]["level"] == "error":
                self.complaints.append(str(answer["params"]["entry"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(answer["params"]["exceptionDetails"]))
        return answer


@contextlib.contextmanager
def browser(program: str, profile: Path) -> Iterator[Browser]:
    """Start a browser with a page.

    Args:
        program: Chromium.
        profile: Folder for what it keeps.
    """
    from_us, commands = os.pipe()
    answers, from_it = os.pipe()

    def as_it_expects() -> None:
        # The protocol's pipes are 3 and 4. What is there now may be one of them.
        moved = os.dup(from_us), os.dup(from_it)
        os.dup2(moved[0], 3)
        os.dup2(moved[1], 4)

    process = start(program, profile, as_it_expects)
    os.close(from_us)
    os.close(from_it)
    with os.fdopen(commands, "wb") as written, os.fdopen(answers, "rb") as read:
        try:
            page = Browser(written, read)
            target = page.call("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                page.call(f"{domain}.enable")
            page.width(1400)
            yield page
        finally:
            process.terminate()
            process.wait()


def start(program: str, profile: Path, prepare: Callable[[], None]) -> "subprocess.Popen[bytes]":
    """Start Chromium, which speaks over the pipes that ``prepare`` puts into place."""
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync")
    return subprocess.Popen(
        [program, *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
        preexec_fn=prepare,  # noqa: PLW1509 - it duplicates descriptors, and nothing else
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
