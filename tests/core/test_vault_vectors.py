"""The test vectors of ``docs/reference/pool-file.md``: what another implementation must make of the same bytes.

``WRITE_VECTORS=1`` writes them anew, which is only right when the format changes.
"""

import base64
import copy
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tailrace.model.dataset import SealedColumns
from tailrace.model.errors import NewerVersionError, RefusedError, TamperedError, UnknownKeyError, WrongKeyError
from tailrace.vault import header as header_module
from tailrace.vault.header import KeyHolder, make_header, open_header, read_header
from tailrace.vault.keys import MasterKey, Password, PrivateKey, key_from_text
from tailrace.vault.sealing import seal_content
from tailrace.vault.values import DataKey, open_values, seal_values

PATH = Path(__file__).parents[1] / "data" / "vault" / "vectors.json"
OUTCOMES = {
    WrongKeyError: "wrong key",
    UnknownKeyError: "unknown key",
    NewerVersionError: "newer version",
    TamperedError: "tampered",
}
SEAL_START = b',\n"seal": '
BOUND = ("number", "protocol", "host", "port")
LOGINS = [("ada", "hunter2"), ("jürgen", "p@ss: 'ω' \"x\""), (None, None)]


def outcome(content: bytes, keys: list[KeyHolder]) -> tuple[str, list[dict[str, Any]]]:
    """What becomes of a document, and its logins where it opens."""
    try:
        return "opens", logins(content, keys)
    except RefusedError as error:
        return OUTCOMES[type(error)], []


def logins(content: bytes, keys: list[KeyHolder]) -> list[dict[str, Any]]:
    """The logins, by the description of the format and nothing else."""
    document = json.loads(content)
    header = read_header(document["manifest"]["vault"])
    key = open_header(header, keys)
    sealed = hashlib.sha256(content[: content.rindex(SEAL_START)]).hexdigest()
    if document["seal"] != attrs.asdict(seal_content(key, sealed)):
        raise TamperedError("another seal")
    frame = pl.DataFrame(document["proxies"], infer_schema_length=None)
    bound = frame.select(header.tables["proxies"].bound_to)
    for name in header.tables["proxies"].columns:
        clear, bad = open_values(key, "proxies", name, frame[name], bound)
        if bad.any():
            raise TamperedError("another value")
        frame = frame.with_columns(clear)
    return frame.select("username", "password").to_dicts()


def keys_of(vector: dict[str, Any]) -> list[KeyHolder]:
    found: list[KeyHolder] = []
    for text in vector["keys"]:
        key = key_from_text(text)
        assert isinstance(key, MasterKey | PrivateKey)
        found.append(key)
    return found + [Password(text) for text in vector["passwords"]]


def written(document: dict[str, Any], key: DataKey | None) -> bytes:
    """A document as ``format-json`` lays it out; sealed where there is a key."""
    manifest = json.dumps(document["manifest"], indent=2, ensure_ascii=False)
    rows = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in document["proxies"])
    content = f'{{\n"manifest": {manifest},\n"proxies": [\n{rows}\n]'.encode()
    seal = document.get("seal") or {}
    if key is not None:
        seal = attrs.asdict(seal_content(key, hashlib.sha256(content).hexdigest()))
    return content + SEAL_START + json.dumps(seal).encode() + b"\n}\n"


def make_vectors() -> list[dict[str, Any]]:
    master, private = MasterKey(bytes(range(32))), PrivateKey(bytes(range(32, 64)))
    password = "correct horse battery staple"
    key = DataKey(bytes(range(64, 96)), "5f0c2c0e-0000-4000-8000-000000000001")
    frame = pl.DataFrame(
        {
            "number": [1, 2, 3],
            "url": ["http://192.0.2.1:8080", "socks5://[2001:db8::1]:1080", "http://192.0.2.3:80"],
            "protocol": ["http", "socks5", "http"],
            "host": ["192.0.2.1", "2001:db8::1", "192.0.2.3"],
            "port": [8080, 1080, 80],
            "username": [user for user, _word in LOGINS],
            "password": [word for _user, word in LOGINS],
        }
    )
    bound = frame.select(BOUND)
    sealed = frame.with_columns(
        seal_values(key, "proxies", name, frame[name], bound) for name in ("username", "password")
    )
    tables = {"proxies": SealedColumns(("username", "password"), BOUND)}
    header = make_header(key, tables, [master, private, Password(password)]).document()
    document: dict[str, Any] = {
        "manifest": {"schema_version": 2, "source": "pool", "vault": header},
        "proxies": sealed.to_dicts(),
    }
    content = written(document, key)
    right: dict[str, Any] = {"keys": [master.text], "passwords": []}
    vectors = [
        ("opens with the master key", content, right),
        ("opens with the recipient's secret key", content, {"keys": [private.text], "passwords": []}),
        ("opens with the password", content, {"keys": [], "passwords": [password]}),
        (
            "opens with any of several",
            content,
            {"keys": [MasterKey(bytes(32)).text, private.text], "passwords": ["no such"]},
        ),
        ("wrong password", content, {"keys": [], "passwords": ["correct horse battery stapler"]}),
        ("unknown key", content, {"keys": [MasterKey(bytes(32)).text], "passwords": []}),
        ("no key at all", content, {"keys": [], "passwords": []}),
    ]
    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "newer version": lambda d: d["manifest"]["vault"].update(version=2),
        "header: an opener less": lambda d: d["manifest"]["vault"]["openers"].pop(),
        "header: argon2id with a terabyte": lambda d: d["manifest"]["vault"]["openers"][2].update(memory=2**40),
        "header: an empty salt": lambda d: d["manifest"]["vault"]["openers"][2].update(salt=""),
    }
    for name, change in changes.items():
        changed = copy.deepcopy(document)
        change(changed)
        vault = changed["manifest"]["vault"]
        vault["digest"] = header_module._digest({k: v for k, v in vault.items() if k not in {"digest", "mac"}})  # noqa: SLF001 - what a forger computes
        vectors.append((name, written(changed, key), right))
    damaged = copy.deepcopy(document)
    damaged["manifest"]["vault"]["digest"] = "0" * 64
    vectors.append(("header: another digest", written(damaged, key), right))
    # Each of these carries a right seal, as if its maker had made it so: the values themselves tell.
    moves: dict[str, Callable[[dict[str, Any]], Any]] = {
        "a value of another proxy": lambda d: d["proxies"][0].update(password=d["proxies"][1]["password"]),
        "a value of another column": lambda d: d["proxies"][0].update(password=d["proxies"][0]["username"]),
        "another host": lambda d: d["proxies"][0].update(host="192.0.2.66"),
        "another port": lambda d: d["proxies"][0].update(port=8081),
        "rows in another order, renumbered": lambda d: (
            d["proxies"].reverse() or [row.update(number=n) for n, row in enumerate(d["proxies"], 1)]
        ),
        "a value cut by a byte": lambda d: d["proxies"][0].update(password=cut(d["proxies"][0]["password"])),
        "a value of a later version": lambda d: d["proxies"][0].update(
            password=d["proxies"][0]["password"].replace("sealed:1:", "sealed:2:")
        ),
    }
    for name, move in moves.items():
        moved = copy.deepcopy(document)
        move(moved)
        vectors.append((name, written(moved, key), right))
    vectors += [
        (
            "a row less",
            written({**document, "proxies": document["proxies"][:2], "seal": json.loads(content)["seal"]}, None),
            right,
        ),
        ("a user name added in clear", content.replace(b'"username":null', b'"username":"eve"'), right),
        ("a blank more", content.replace(b'"proxies": [', b'"proxies":  ['), right),
    ]
    return [
        {"name": name, "outcome": found, **given, "file": text.decode(), "logins": opened}
        for name, text, given in vectors
        for found, opened in [outcome(text, keys_of(given))]
    ]


def cut(token: str) -> str:
    return "sealed:1:" + base64.b64encode(base64.b64decode(token.removeprefix("sealed:1:"))[:-1]).decode()


if os.environ.get("WRITE_VECTORS"):
    PATH.write_text(json.dumps(make_vectors(), indent=1, ensure_ascii=False) + "\n")
VECTORS = json.loads(PATH.read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_has_its_outcome(vector: dict[str, Any]) -> None:
    assert outcome(vector["file"].encode(), keys_of(vector)) == (vector["outcome"], vector["logins"])


def test_the_vectors_are_these() -> None:
    opening = [{"username": user, "password": word} for user, word in LOGINS]
    assert {vector["name"]: vector["outcome"] for vector in VECTORS} == {
        "opens with the master key": "opens",
        "opens with the recipient's secret key": "opens",
        "opens with the password": "opens",
        "opens with any of several": "opens",
        "wrong password": "wrong key",
        "unknown key": "unknown key",
        "no key at all": "unknown key",
        "newer version": "newer version",
        "header: an opener less": "tampered",
        "header: argon2id with a terabyte": "tampered",
        "header: an empty salt": "tampered",
        "header: another digest": "tampered",
        "a value of another proxy": "tampered",
        "a value of another column": "tampered",
        "another host": "tampered",
        "another port": "tampered",
        "rows in another order, renumbered": "tampered",
        "a value cut by a byte": "tampered",
        "a value of a later version": "tampered",
        "a row less": "tampered",
        "a user name added in clear": "tampered",
        "a blank more": "tampered",
    }
    assert all(vector["logins"] == (opening if vector["outcome"] == "opens" else []) for vector in VECTORS)


def test_no_flipped_bit_and_no_cut_of_a_whole_file_opens() -> None:
    (vector,) = (vector for vector in VECTORS if vector["name"] == "opens with the master key")
    content, keys = vector["file"].encode(), keys_of(vector)
    changed = [content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :] for at in range(len(content))]
    # Behind its last brace a document may be cut: a line end is no part of it.
    cuts = [content[:length] for length in range(0, len(content) - 1, 5)]
    opened = []
    for text in (*changed, *cuts):
        try:
            opened.append(logins(text, keys))
        except (RefusedError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError):
            continue
    # The line ends behind the seal are the only bytes that it is not of; as other blanks they change nothing.
    assert [found for found in opened if found != vector["logins"]] == []
    assert len(opened) <= 2
