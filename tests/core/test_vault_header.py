import contextlib
import copy
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tailrace.model.dataset import SealedColumns
from tailrace.model.errors import (
    ConfigurationError,
    NewerVersionError,
    TailraceError,
    TamperedError,
    UnknownKeyError,
    WrongKeyError,
)
from tailrace.vault import header as header_module
from tailrace.vault.header import make_header, open_header, read_header
from tailrace.vault.keys import MasterKey, Password, PrivateKey
from tailrace.vault.values import DataKey

KEY = DataKey.generate("5f0c2c0e-0000-4000-8000-000000000001")
TABLES = {"proxies": SealedColumns(("username", "password"), ("number", "protocol", "host", "port"))}
MASTER, PRIVATE, PASSWORD = MasterKey.generate(), PrivateKey.generate(), Password("correct horse")


def written(*openers: Any) -> dict[str, Any]:
    """A header as it comes back from a file."""
    document: dict[str, Any] = json.loads(json.dumps(make_header(KEY, TABLES, openers).document()))
    return document


@pytest.fixture(scope="module")
def everybody() -> dict[str, Any]:
    return written(MASTER, PRIVATE.public, PASSWORD)


def digested(document: dict[str, Any]) -> dict[str, Any]:
    """The header with a digest that fits, as a forger would write it."""
    content = {name: value for name, value in document.items() if name not in {"digest", "mac"}}
    return {**document, "digest": header_module._digest(content)}  # noqa: SLF001 - what a forger computes


@pytest.mark.parametrize("keys", [[MASTER], [PRIVATE], [PASSWORD], [MasterKey.generate(), Password("another"), MASTER]])
def test_any_of_its_openers_opens_it(everybody: dict[str, Any], keys: list[Any]) -> None:
    read = read_header(everybody)
    key = open_header(read, keys)
    assert (key.content, key.export_id) == (KEY.content, KEY.export_id)
    assert read.tables == TABLES
    assert read.key_ids == (MASTER.id, PRIVATE.id)
    assert read.document() == everybody


def test_sealing_to_a_secret_key_seals_to_its_public_half() -> None:
    assert open_header(read_header(written(PRIVATE)), [PRIVATE]).content == KEY.content


def test_the_same_key_twice_is_one_opener() -> None:
    assert len(written(MASTER, MASTER, PRIVATE, PRIVATE.public)["openers"]) == 2


def test_openers_can_be_kept_without_their_keys(everybody: dict[str, Any]) -> None:
    read = read_header(everybody)
    fewer = make_header(KEY, TABLES, [read.openers[1], read.openers[2]])
    assert open_header(fewer, [PASSWORD]).content == KEY.content
    with pytest.raises(UnknownKeyError):
        open_header(fewer, [MASTER])


def test_wrong_keys_are_told_apart_from_unknown_ones(everybody: dict[str, Any]) -> None:
    read = read_header(everybody)
    with pytest.raises(WrongKeyError) as wrong:
        open_header(read, [Password("not the one")])
    assert wrong.value.message == "The password is not the one that the credentials were sealed with."
    other = MasterKey.generate()
    with pytest.raises(UnknownKeyError) as unknown:
        open_header(read, [other, PrivateKey.generate()])
    assert unknown.value.message.startswith(f"None of the keys at hand opens the credentials; tried: {other.id}, rk-")
    assert unknown.value.hint == (
        f"It takes one of: {MASTER.id}, {PRIVATE.id}, its password. "
        "Name it: --key file:PATH, or the setting vault.keys."
    )
    assert unknown.value.needed == (MASTER.id, PRIVATE.id)
    assert unknown.value.given[0] == other.id
    with pytest.raises(UnknownKeyError, match=r"^None of the keys at hand opens the credentials\.$"):
        open_header(read, [])
    with pytest.raises(UnknownKeyError):
        open_header(read_header(written(MASTER)), [PASSWORD])


def test_the_four_outcomes_are_four_types() -> None:
    kinds = (WrongKeyError, UnknownKeyError, TamperedError, NewerVersionError)
    assert all(not issubclass(one, other) for one in kinds for other in kinds if one is not other)
    assert {kind.exit_code for kind in kinds} == {3}


def test_a_newer_version_is_told() -> None:
    with pytest.raises(NewerVersionError) as caught:
        read_header({"version": 2, "whatever": "comes"})
    assert caught.value.message == "The credentials are sealed in version 2, this Tailrace opens up to 1."
    assert caught.value.version == 2


def test_every_flipped_bit_is_found_out(everybody: dict[str, Any]) -> None:
    text = json.dumps(everybody, sort_keys=True).encode()
    outcomes = set()
    # The costly ones last: whatever is wrong with the form is found without a key derivation.
    for at in range(len(text)):
        for bit in range(7):
            changed = text[:at] + bytes([text[at] ^ (1 << bit)]) + text[at + 1 :]
            try:
                document = json.loads(changed)
            except ValueError:
                continue
            if document == everybody:
                continue
            with pytest.raises(TailraceError) as caught:
                open_header(read_header(document), [MASTER])
            outcomes.add(type(caught.value))
    assert outcomes <= {TamperedError, NewerVersionError}
    assert TamperedError in outcomes


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an opener removed": lambda document: document["openers"].pop(),
    "openers in another order": lambda document: document["openers"].reverse(),
    "another export": lambda document: document.update(export_id="5f0c2c0e-0000-4000-8000-000000000002"),
    "a column less": lambda document: document["tables"]["proxies"]["columns"].pop(),
    "bound to less": lambda document: document["tables"]["proxies"]["bound_to"].pop(),
    "a table more": lambda document: document["tables"].update(x={"columns": [], "bound_to": []}),
    "another mac": lambda document: document.update(mac="0" * 64),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_forger_changes_is_found_out_though_the_digest_fits(change: str, everybody: dict[str, Any]) -> None:
    document = copy.deepcopy(everybody)
    CHANGES[change](document)
    read = read_header(digested(document))
    for key in (MASTER, PRIVATE):
        with pytest.raises(TamperedError):
            open_header(read, [key])


def test_an_opener_of_another_export_does_not_open() -> None:
    other = json.loads(json.dumps(make_header(DataKey.generate("another"), TABLES, [MASTER, PASSWORD]).document()))
    document = written(MASTER, PASSWORD)
    document["openers"] = other["openers"]
    for key in (MASTER, PASSWORD):
        with pytest.raises(TamperedError, match="does not open with its own key"):
            open_header(read_header(digested(document)), [key])


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "memory of a terabyte": lambda d: d["openers"][2].update(memory=2**40),
    "no memory": lambda d: d["openers"][2].update(memory=0),
    "operations without end": lambda d: d["openers"][2].update(operations=10**9),
    "no operations": lambda d: d["openers"][2].update(operations=0),
    "negative operations": lambda d: d["openers"][2].update(operations=-1),
    "passwords that cost too much together": lambda d: d.update(
        openers=[{**d["openers"][2], "operations": 8, "memory": 128 << 20}] * 2
    ),
    "an empty salt": lambda d: d["openers"][2].update(salt=""),
    "a long salt": lambda d: d["openers"][2].update(salt="A" * 1000),
    "a salt spelt otherwise": lambda d: d["openers"][2].update(salt=d["openers"][2]["salt"].rstrip("=") + "\n=="),
    "another kdf": lambda d: d["openers"][2].update(kdf="md5"),
    "five passwords": lambda d: d.update(openers=d["openers"][2:] * 5),
    "a million openers": lambda d: d.update(openers=d["openers"][:1] * 1_000_000),
    "no openers": lambda d: d.update(openers=[]),
    "openers of another type": lambda d: d.update(openers="all"),
    "an opener that is none": lambda d: d["openers"].append({"type": "rot13"}),
    "an opener without type": lambda d: d["openers"].append({}),
    "an opener of a list as type": lambda d: d["openers"].append({"type": []}),
    "an opener with more": lambda d: d["openers"][0].update(more=1),
    "a short key": lambda d: d["openers"][0].update(wrapped="AAAA"),
    "no Base64": lambda d: d["openers"][0].update(wrapped="!"),
    "another cipher": lambda d: d.update(cipher="none"),
    "an unknown member": lambda d: d.update(more=1),
    "tables that are none": lambda d: d.update(tables=[]),
    "version as text": lambda d: d.update(version="1"),
    "version true": lambda d: d.update(version=True),
    "a large header": lambda d: d["tables"].update(x={"columns": ["x" * 300_000], "bound_to": []}),
    "a number that JSON has not": lambda d: d.update(export_id=float("nan")),
}


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
@pytest.mark.parametrize("change", HOSTILE)
def test_a_hostile_header_is_refused_at_once(change: str, everybody: dict[str, Any]) -> None:
    document = copy.deepcopy(everybody)
    HOSTILE[change](document)
    # A forger makes the digest fit; where it cannot even be computed, that is refused as well.
    with contextlib.suppress(ValueError):
        document = digested(document)
    began = time.perf_counter()
    with pytest.raises(TamperedError, match="header of the sealed credentials was changed or damaged"):
        read_header(document)
    assert time.perf_counter() - began < 0.05


@pytest.mark.parametrize("document", [None, [], "x", 5, {}])
def test_what_is_no_header_is_refused(document: object) -> None:
    with pytest.raises(TamperedError):
        read_header(document)


def test_an_opener_of_one_kind_with_the_id_of_another_does_not_open() -> None:
    for key, kind in ((PRIVATE, "master"), (MASTER, "recipient")):
        document = written(MASTER, PRIVATE)
        (opener,) = (one for one in document["openers"] if one["type"] == kind)
        opener["key_id"] = key.id
        document["openers"] = [opener]
        with pytest.raises(TamperedError, match="does not open with its own key"):
            open_header(read_header(digested(document)), [key])


def test_a_short_password_and_nobody_at_all_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="The password is too short: 8 characters at least"):
        make_header(KEY, TABLES, [Password("1234567")])
    with pytest.raises(ConfigurationError, match="Nobody could open it"):
        make_header(KEY, TABLES, [])
    with pytest.raises(ConfigurationError, match="at most 64 openers"):
        make_header(KEY, TABLES, [MasterKey.generate() for _ in range(65)])


def test_nothing_secret_stands_in_a_header(everybody: dict[str, Any]) -> None:
    text = json.dumps(everybody)
    for secret in (KEY.content, MASTER.content, PRIVATE.content, PASSWORD.content):
        assert secret.hex() not in text
    assert MASTER.text not in text
