import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tailrace import ConfigurationError, CredentialMode, NotAllowedError, TransientError
from tailrace.model.dataset import SealedColumns
from tailrace.model.errors import TamperedError, UnknownKeyError
from tailrace.plugins.pools import PoolFile, Problem
from tailrace.restore.unlocking import header_of, resolver_of, unlock
from tailrace.vault.header import KeyHolder, make_header
from tailrace.vault.keys import MasterKey
from tailrace.vault.sealing import seal_content
from tailrace.vault.values import DataKey, seal_values

MASTER = MasterKey.generate()
KEY = DataKey.generate("5f0c2c0e-0000-4000-8000-000000000001")
BOUND = ("number", "host")
CLEAR = pl.DataFrame(
    {
        "place": ["$.proxies[0]", "$.proxies[1]", "$.proxies[2]"],
        "number": [1, 2, 3],
        "host": ["192.0.2.1", "192.0.2.2", "192.0.2.2"],
        "username": ["ada", None, "eve"],
        "password": ["hunter2", None, "12345678"],
        "last_health_error": ["407 for ada", "timeout", None],
        "has_credentials": [True, False, True],
    }
)
REF_A, REF_B = "ref_" + "a" * 26, "ref_" + "b" * 26


def full(**changes: Any) -> PoolFile:
    bound = CLEAR.select(BOUND)
    sealed = [seal_values(KEY, "proxies", name, CLEAR[name], bound) for name in ("username", "password")]
    errors = CLEAR["last_health_error"].clone()
    errors = errors.scatter(0, seal_values(KEY, "proxies", "last_health_error", errors[[0]], bound[[0]]))
    header = make_header(KEY, {"proxies": SealedColumns(("username", "password"), BOUND)}, [MASTER])
    file = PoolFile(
        dialect="tailrace-json",
        frame=CLEAR.with_columns(*sealed, errors),
        problems=(),
        problem_count=0,
        digest="0" * 64,
        manifest={"vault": header.document()},
        credentials=CredentialMode.FULL,
        seal=attrs.asdict(seal_content(KEY, "1" * 64)),
    )
    return attrs.evolve(file, **changes)


def keys(*given: KeyHolder) -> Any:
    def ask() -> Sequence[KeyHolder]:
        return given or (MASTER,)

    return ask


def never() -> Sequence[KeyHolder]:
    raise AssertionError


def test_what_is_sealed_comes_into_clear() -> None:
    assert unlock(full(), keys=keys()).frame.equals(CLEAR)


def test_keys_are_asked_for_only_where_something_is_sealed() -> None:
    plain = full(frame=CLEAR, credentials=None)
    assert unlock(plain, keys=never) is plain
    broken = full(problems=(Problem("$", "broken"),), problem_count=1)
    assert unlock(broken, keys=never) is broken


def test_without_a_key_nothing_opens() -> None:
    with pytest.raises(UnknownKeyError):
        unlock(full(), keys=keys(MasterKey.generate()))
    with pytest.raises(TamperedError, match="it is missing"):
        header_of(full(manifest=None))


@pytest.mark.parametrize(
    "seal", [None, {}, {"sha256": "1" * 64}, {"sha256": "2" * 64, "mac": "0" * 64}, {"mac": "0" * 64}, {"sha256": 5}]
)
def test_a_file_without_the_right_seal_is_refused(seal: Any) -> None:
    with pytest.raises(TamperedError, match="The file is not what was sealed"):
        unlock(full(seal=seal), keys=keys())


def test_values_that_were_moved_are_named_by_their_places() -> None:
    file = full()
    swapped = file.frame.with_columns(file.frame["password"].reverse())
    with pytest.raises(TamperedError) as caught:
        unlock(attrs.evolve(file, frame=swapped), keys=keys())
    assert caught.value.message == "Sealed values of 2 proxies were changed or moved: $.proxies[0], $.proxies[2]."
    many = pl.concat([swapped] * 4).with_columns(place=pl.Series([f"line {n}" for n in range(12)]))
    with pytest.raises(TamperedError, match=r"8 proxies .* line 0, line 2, line 3, line 5, line 6 and 3 more\.$"):
        unlock(attrs.evolve(file, frame=many), keys=keys())


def test_a_column_that_they_are_bound_to_must_be_there() -> None:
    file = full()
    with pytest.raises(TamperedError, match="cannot be opened without the columns host"):
        unlock(attrs.evolve(file, frame=file.frame.drop("host")), keys=keys())
    # Nothing sealed needs nothing.
    plain = CLEAR.drop("host", "username", "password", "last_health_error")
    assert unlock(attrs.evolve(file, frame=plain), keys=keys()).frame.equals(plain)


def test_another_table_in_the_header_does_not_open_this_one() -> None:
    header = make_header(KEY, {"others": SealedColumns((), ())}, [MASTER]).document()
    with pytest.raises(TamperedError, match="does not say what they are bound to"):
        unlock(full(manifest={"vault": header}), keys=keys())


def references(*users: str | None) -> PoolFile:
    frame = pl.DataFrame(
        {"place": [f"$.proxies[{n}]" for n in range(len(users))], "username": pl.Series(users, dtype=pl.String)}
    )
    return full(frame=frame, credentials=CredentialMode.REFERENCE)


def test_references_are_resolved() -> None:
    known = {REF_A: "ada", REF_B: "eve"}
    done = unlock(references(REF_A, None, REF_B, REF_A), keys=never, resolver=known.get)
    assert done.frame["username"].to_list() == ["ada", None, "eve", "ada"]
    assert done.problems == ()
    nobody = references(None)
    assert unlock(nobody, keys=never) is nobody
    without = attrs.evolve(nobody, frame=nobody.frame.drop("username"))
    assert unlock(without, keys=never) is without


def test_what_no_resolver_knows_is_a_problem_with_its_place() -> None:
    done = unlock(references(REF_A, REF_B, "not one"), keys=never, resolver={REF_A: "ada"}.get)
    assert [str(problem) for problem in done.problems] == [
        f"$.proxies[1].username: the resolver does not know {REF_B}",
        "$.proxies[2].username: the resolver does not know it: it is no reference",
    ]
    assert done.problem_count == 2


def test_references_without_a_resolver_are_told() -> None:
    with pytest.raises(ConfigurationError, match="nothing to resolve them") as caught:
        unlock(references(REF_A), keys=never)
    assert caught.value.hint == "Name a resolver: --resolve env or --resolve file:PATH"


def test_a_resolver_that_fails_does_not_show_what_it_said() -> None:
    def failing(_reference: str) -> str:
        message = "password of ada is hunter2"
        raise KeyError(message)

    with pytest.raises(NotAllowedError) as caught:
        unlock(references(REF_A), keys=never, resolver=failing)
    assert caught.value.message == "The resolver failed with KeyError."
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__

    def away(_reference: str) -> str:
        message = "the vault is away"
        raise TransientError(message)

    with pytest.raises(TransientError):
        unlock(references(REF_A), keys=never, resolver=away)


def test_a_sanitized_file_says_what_it_does_not_bring_back() -> None:
    frame = CLEAR.with_columns(username=None, password=None)
    done = unlock(full(frame=frame, credentials=CredentialMode.SANITIZED), keys=never)
    assert done.frame is frame
    assert done.notes == ("2 proxies had a login when they were exported; this file does not hold it.",)
    nobody = frame.with_columns(has_credentials=False)
    assert unlock(full(frame=nobody, credentials=CredentialMode.SANITIZED), keys=never).notes == ()
    assert (
        unlock(full(frame=frame.drop("has_credentials"), credentials=CredentialMode.SANITIZED), keys=never).notes == ()
    )


@pytest.mark.parametrize("column", ["username", "password", "stored_url"])
def test_a_file_that_only_says_it_was_sanitized_is_refused(column: str) -> None:
    frame = CLEAR.with_columns(username=None, password=None).with_columns(pl.lit("sealed:1:x").alias(column))
    with pytest.raises(TamperedError, match=f"holds something in {column}"):
        unlock(full(frame=frame, credentials=CredentialMode.SANITIZED), keys=never)


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = resolver_of("env", {REF_A.upper(): "ada"})
    assert (resolve(REF_A), resolve(REF_B)) == ("ada", None)
    monkeypatch.setenv(REF_B.upper(), "eve")
    assert resolver_of("env")(REF_B) == "eve"


def test_secrets_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({REF_A: "ada"}))
    resolve = resolver_of(f"file:{path}")
    assert (resolve(REF_A), resolve(REF_B)) == ("ada", None)


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 5}', "[" * 100_000])
def test_a_file_of_other_content_is_told_without_it(content: str, tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"is not a JSON object of ids and secrets\.$"):
        resolver_of(f"file:{path}")


def test_other_resolvers_are_told() -> None:
    with pytest.raises(ConfigurationError, match="nowhere cannot be read: No such file or directory"):
        resolver_of("file:nowhere")
    for text in ("", "cloud", "env:x", "file:"):
        with pytest.raises(ConfigurationError, match="There is no resolver"):
            resolver_of(text)
