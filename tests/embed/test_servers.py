"""Applications under servers of several processes: each has an engine and a worker of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(folder: Path, *command: str) -> Iterator[tuple[httpx.Client, "subprocess.Popen[str]"]]:
    """The application under a real server."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=port) for word in command)],
            cwd=folder, stdout=log, stderr=log, text=True, env=environment,
        )  # fmt: skip
    headers = {"Authorization": "Bearer token-of-ada"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
            wait_until(lambda: answers(client), server)
            yield client, server
    finally:
        server.kill()
        server.wait()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/exports/nothing").status_code == 404
    except httpx.TransportError:
        return False


def wait_until(happened: Callable[[], bool], server: "subprocess.Popen[str]", seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def state_of(client: httpx.Client, place: str) -> str:
    return str(client.get(place).json()["state"])


def workers_of(folder: Path) -> int:
    from tailrace import Engine, Settings

    return Engine(Settings(home=folder / "data" / "tailrace")).jobs.workers_alive()


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("flask.md", ("gunicorn", "exports:create_app()", "--bind", "127.0.0.1:{port}")),
        ("fastapi.md", ("uvicorn", "exports:app", "--workers", "2", "--port", "{port}")),
    ],
    ids=["gunicorn forks", "uvicorn starts"],
)
def test_each_process_of_a_server_exports(program: Callable[[str], Path], page: str, command: tuple[str, ...]) -> None:
    folder = program(page)
    with served(folder, *command) as (client, server):
        wait_until(lambda: workers_of(folder) == 2, server)
        places = [client.post("/exports", json={}).headers["Location"] for _ in range(4)]
        wait_until(lambda: all(state_of(client, place) == "completed" for place in places), server)
        files = [client.get(client.get(place).json()["file"]).content for place in places]
        assert len(set(files)) == 1
        assert files[0][:2] == b"\x1f\x8b"
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) in {0, -signal.SIGTERM}, (folder / "server.log").read_text()
    # They have signed off, rather than been killed when the time was up.
    assert workers_of(folder) == 0
    assert "Traceback" not in (folder / "server.log").read_text()
