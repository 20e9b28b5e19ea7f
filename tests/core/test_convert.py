from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.errors import RequestError
from tailrace.model.request import CompressionLevel, CredentialMode, ExportRequest, SinkRequest

CANARY = "hunter2-canary"


class Named(str, Enum):  # noqa: UP042 - plugins may derive their enumerations this way
    ONE = "one"


class Number(Enum):
    ONE = 1


class Mode(StrEnum):
    A = "a"


@attrs.frozen
class Leaf:
    text: str = "x"
    number: int = 0


@attrs.frozen
class Tree:
    leaf: Leaf = attrs.field(factory=Leaf)
    leaves: tuple[Leaf, ...] = ()
    listed: list[int] = attrs.field(factory=list)
    named: Mapping[str, Leaf] = attrs.field(factory=dict)
    maybe: Leaf | None = None
    anything: Mapping[str, Any] = attrs.field(factory=dict)


def problems(value: object, cls: Any) -> tuple[str, ...]:
    with pytest.raises(StructureError) as caught:
        structure(value, cls)
    return caught.value.problems


@pytest.mark.parametrize(
    ("value", "cls", "problem"),
    [
        (5, str, "expected text, got int"),
        (None, str, "expected text, got null"),
        (b"x", str, "expected text, got bytes"),
        (1.9, int, "expected a whole number, got float"),
        (1.0, int, "expected a whole number, got float"),
        (True, int, "expected a whole number, got bool"),
        ("1", int, "expected a whole number, got text"),
        (1, bool, "expected true or false, got int"),
        ("true", bool, "expected true or false, got text"),
        (True, float, "expected a number, got bool"),
        ("1.5", float, "expected a number, got text"),
        (float("nan"), float, "expected a finite number"),
        (float("inf"), float, "expected a finite number"),
        (10**400, float, "expected a finite number"),
        ("bogus", CredentialMode, "expected one of 'full', 'sanitized', 'reference'"),
        (5, CredentialMode, "expected one of 'full', 'sanitized', 'reference'"),
        ("bogus", Mode, "expected one of 'a'"),
        ("bogus", Named, "expected one of 'one'"),
        (True, Number, "expected one of 1"),
        ("1", Number, "expected one of 1"),
        ("Fast", Literal["fast", "slow"], "expected one of 'fast', 'slow'"),
        (True, Literal[1], "expected one of 1"),
        ("quick", CompressionLevel, "expected a whole number, got text or expected one of 'fast'"),
        (1.5, int | str | None, "expected a whole number, got float or expected text, got float"),
        ("x", int | None, "expected a whole number, got text"),
        (5, Path, "expected a path as text, got int"),
        ("abc", tuple[str, ...], "expected a list, got text"),
        ("abc", list[str], "expected a list, got text"),
        ({"a": 1}, tuple[str, ...], "expected a list, got object"),
        ([], Leaf, "expected an object, got list"),
        (None, Leaf, "expected an object, got null"),
        ([], Mapping[str, int], "expected an object, got list"),
        ("2026-08-15T06:00:00", datetime, "expected a time as ISO 8601 text with its offset, got text"),
        ("yesterday", datetime, "expected a time as ISO 8601 text with its offset, got text"),
        (1755216000, datetime, "expected a time as ISO 8601 text with its offset, got int"),
        ("0001-01-01T00:00:00+23:59", datetime, "expected a time as ISO 8601 text with its offset, got text"),
    ],
)
def test_nothing_is_coerced(value: object, cls: Any, problem: str) -> None:
    assert problems(value, cls) == (f"{problem} @ $",)


@pytest.mark.parametrize(
    ("value", "cls", "expected"),
    [
        ("x", str, "x"),
        (5, int, 5),
        (True, bool, True),
        (5, float, 5.0),
        ("full", CredentialMode, CredentialMode.FULL),
        ("one", Named, Named.ONE),
        (1, Number, Number.ONE),
        ("fast", CompressionLevel, "fast"),
        (9, CompressionLevel, 9),
        (None, int | str | None, None),
        ("x", int | str | None, "x"),
        (None, int | None, None),
        (["a", "b"], tuple[str, ...], ("a", "b")),
        (["a", "b"], list[str], ["a", "b"]),
        (("a",), tuple[str, ...], ("a",)),
        ("a/b", Path, Path("a/b")),
        (Path("a/b"), Path, Path("a/b")),
        ({"a": [1, {"b": None}]}, Mapping[str, Any], {"a": [1, {"b": None}]}),
        ("2026-08-15T08:00:00+02:00", datetime, datetime(2026, 8, 15, 6, tzinfo=UTC)),
    ],
)
def test_what_fits_is_taken(value: object, cls: Any, expected: object) -> None:
    made = structure(value, cls)
    assert made == expected
    assert type(made) is type(expected)


def test_every_problem_has_its_path() -> None:
    value = {
        "leaf": {"text": 5, "numbr": 1},
        "leaves": [{}, {"number": True}, 7],
        "listed": [1, "2"],
        "named": {"a": {"text": None}},
        "maybe": {"number": "x"},
        "anything": {5: 6},
        "extra": 1,
    }
    assert sorted(problems(value, Tree)) == sorted(
        [
            "expected text, got int @ $.leaf.text",
            "unknown key 'numbr', there is number, text @ $.leaf",
            "expected a whole number, got bool @ $.leaves[1].number",
            "expected an object, got int @ $.leaves[2]",
            "expected a whole number, got text @ $.listed[1]",
            "expected text, got null @ $.named['a'].text",
            "expected a whole number, got text @ $.maybe.number",
            "expected text, got int @ $.anything[5]",
            "unknown key 'extra', there is anything, leaf, leaves, listed, maybe, named @ $",
        ]
    )


def test_a_request_is_read_from_json() -> None:
    request = structure(
        {
            "source": "pool",
            "location": "x.db",
            "format": "csv",
            "sinks": [{"name": "disk", "target": "out", "options": {"a": 1}}],
            "credentials": "reference",
            "compress_level": "fast",
            "limit": 5,
        },
        ExportRequest,
    )
    assert request == ExportRequest(
        "pool",
        "x.db",
        "csv",
        sinks=(SinkRequest("disk", "out", {"a": 1}),),
        credentials=CredentialMode.REFERENCE,
        compress_level="fast",
        limit=5,
    )
    assert structure(unstructure(request), ExportRequest) == request


def test_missing_keys_and_rules_of_the_model() -> None:
    assert problems({"sinks": [{}]}, ExportRequest) == (
        "required key is missing @ $.source",
        "required key is missing @ $.location",
        "required key is missing @ $.format",
        "required key is missing @ $.sinks[0].name",
    )
    whole = {"source": "a", "location": "b", "format": "c"}
    assert problems({**whole, "compress_level": 12}, ExportRequest) == ("compress_level is 1 to 9, or 'fast' @ $",)
    assert problems({**whole, "limit": -1}, ExportRequest) == ("limit is 0 or more @ $",)
    assert problems({**whole, "limit": 2**32 - 1}, ExportRequest) == ("limit is at most 4,294,967,294 @ $",)


def test_the_message_lists_all_problems_below_a_headline() -> None:
    with pytest.raises(StructureError) as caught:
        structure({"text": 1, "number": "x"}, Leaf, what="The leaf")
    assert caught.value.message == (
        "The leaf is not valid:\n  - expected text, got int @ $.text\n  - expected a whole number, got text @ $.number"
    )
    assert isinstance(caught.value, RequestError)
    assert caught.value.exit_code == 2
    with pytest.raises(StructureError, match=r"^whole number or nothing is not valid:\n"):
        structure("x", int | None)  # type: ignore[arg-type]  # any type will do
    with pytest.raises(StructureError, match=r"^Leaf is not valid:\n"):
        structure(1, Leaf)


def _unhex(text: str) -> str:
    return bytes.fromhex(text).decode()


@attrs.frozen
class Guarded:
    choice: str = attrs.field(default="a", validator=attrs.validators.in_(["a"]))
    pattern: str = attrs.field(default="a", validator=attrs.validators.matches_re("a"))
    typed: str = attrs.field(default="a", validator=attrs.validators.instance_of(str))
    converted: str = attrs.field(default="61", converter=_unhex)


@pytest.mark.parametrize("field", ["choice", "pattern", "converted"])
def test_rules_of_others_never_quote_a_value(field: str) -> None:
    with pytest.raises(StructureError) as caught:
        structure({field: CANARY}, Guarded)
    assert caught.value.problems == ("the value does not fit (ValueError) @ $",)
    assert CANARY not in repr(caught.value) + str(caught.value.__cause__)


TAKES: dict[str, type] = {
    **dict.fromkeys(("source", "location", "format", "since", "until", "time_zone"), str),
    "options": dict,
}


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(ExportRequest)])
@pytest.mark.parametrize("bad", [CANARY, [CANARY], {"x": CANARY}, [{"name": [CANARY]}], b"hunter2-canary"])
def test_a_request_never_quotes_a_value(field: str, bad: object) -> None:
    value = {"source": "a", "location": "b", "format": "c", field: bad}
    fits = isinstance(bad, TAKES.get(field, ())) or (
        field in {"columns", "where", "sort", "openers"} and bad == [CANARY]
    )
    with nullcontext() if fits else pytest.raises(StructureError) as caught:
        structure(value, ExportRequest)
    if caught is not None:
        assert CANARY not in str(caught.value)
        assert CANARY not in repr(caught.value.__dict__)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_times_are_written_in_utc() -> None:
    warsaw = datetime(2026, 8, 15, 8, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert unstructure({"t": warsaw, "p": (Path("a/b"),), "m": CredentialMode.FULL}) == {
        "t": "2026-08-15T06:00:00.000005Z",
        "p": ["a/b"],
        "m": "full",
    }
