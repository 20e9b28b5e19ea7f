"""What deliveries know and nobody else may: paths of webhooks, their secrets and headers, passwords of mail servers."""

import base64
import json
import logging
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tailrace import AuditFilter, Engine, ExportRequest, Notify, SinkRequest, User
from tailrace.model.convert import unstructure
from tailrace.settings import DeliverySettings, JobSettings, Settings, WorkerSettings

ADA, ROOT = User("ada"), User("root", is_admin=True)
CANARIES = {
    "path": "Canary-Path-4711",
    "query": "Canary-Query-4711",
    "raw": "Canary-Raw-4711",
    "told": "Canary-Told-4711",
    "header": "Canary-Header-4711",
    "mail": "Canary-Mail-4711",
}
SIGNING = base64.b64encode(b"Canary-Signing-4711-and-more").decode()


@contextmanager
def receiver(came: list[str]) -> Iterator[int]:
    """Takes what comes to some paths, and refuses the rest in several ways."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            came.append(f"{self.path} {self.headers.get('authorization')}")
            status = 503 if "busy" in self.path else 410 if "gone" in self.path else 404 if "no" in self.path else 204
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def forms(secret: str) -> dict[str, bytes]:
    """A secret as it may turn up: as it is, and in the encodings that are used on the way."""
    plain = secret.encode()
    return {
        "plain": plain,
        "base64": base64.b64encode(plain).rstrip(b"=")[:-1],
        "hex": plain.hex().encode(),
        "percent": urllib.parse.quote(secret, safe="").replace("-", "%2D").encode(),
    }


@pytest.mark.parametrize("isolate", ["never", "always"])
def test_what_only_sinks_may_know_is_nowhere_else(
    isolate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, elsewhere: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    came: list[str] = []
    (elsewhere / "pool.txt").write_text("http://10.1.2.3:8080\n")
    with receiver(came) as port:
        root = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("HOOK_URL", f"{root}/{CANARIES['path']}?token={CANARIES['query']}")
        monkeypatch.setenv("HOOK_SECRET", f"whsec_{SIGNING}")
        monkeypatch.setenv("HOOK_HEADER", f"Bearer {CANARIES['header']}")
        monkeypatch.setenv("MAIL_PASSWORD", CANARIES["mail"])
        endpoint = {"url": "env:HOOK_URL", "headers": {"Authorization": "env:HOOK_HEADER"}}
        hooks = {"secrets": ["env:HOOK_SECRET"], "allow": ["127.0.0.0/8"], "endpoints": {"ops": endpoint}}
        mail = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "env:MAIL_PASSWORD", "sender": "a@example.com"}
        settings = Settings(
            home=tmp_path / "home",
            jobs=JobSettings(isolate=isolate),
            delivery=DeliverySettings(attempts=2, first_delay=0.05),
            worker=WorkerSettings(poll=0.05),
            sinks={"webhook": hooks, "email": mail},
        )
        engine = Engine(settings)
        raw = [f"{root}/{kind}/{CANARIES['raw']}" for kind in ("busy", "gone", "no", "taken")]
        # A slip in the scheme is no address, and must not be kept as one either.
        targets = ["ops", *raw]
        sinks = (*(SinkRequest("webhook", target) for target in targets), SinkRequest("email", "ann@example.com"))
        told = (Notify("webhook", f"{root}/busy/{CANARIES['told']}"),)
        request = ExportRequest("pool", str(elsewhere / "pool.txt"), "csv", sinks=sinks, notify=told)
        job = engine.submit(request, user=ADA)
        engine.worker(concurrency=1).run(until_idle=True)
        slip = (SinkRequest("webhook", f"localhost:{port}/{CANARIES['raw']}"),)
        with pytest.raises(Exception, match="webhook"):
            engine.export(ExportRequest("pool", str(elsewhere / "pool.txt"), "csv", sinks=slip), user=ADA)
    rows = engine.jobs.deliveries(job.id, ADA)
    assert sorted(row.state.value for row in rows) == ["delivered", "delivered", "failed", "failed", "failed", "failed"]
    assert any(CANARIES["path"] in line and CANARIES["header"] in line for line in came)
    assert any(CANARIES["told"] in line for line in came)
    said = {
        "log": caplog.text.encode(),
        "rows": json.dumps(unstructure(rows)).encode(),
        "jobs": json.dumps([unstructure(one) for one in engine.jobs.list(ADA).jobs]).encode(),
        "audit": json.dumps([unstructure(one) for one in engine.audit.list(ROOT, AuditFilter())]).encode(),
        "notes": json.dumps(unstructure(engine.jobs.notifications(ADA))).encode(),
        "repr": repr((settings, request, engine.jobs.list(ADA))).encode(),
    }
    engine.store.close()
    said |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(said) > 8
    for name, secret in {**CANARIES, "signing": SIGNING, "key": "Canary-Signing-4711-and-more"}.items():
        for form, sought in forms(secret).items():
            assert [place for place, content in said.items() if sought in content] == [], (name, form)
