from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from tailrace import option
from tailrace.model.errors import OptionError, UnknownNameError
from tailrace.model.options import OptionDescription, build_options, describe_options, public_options
from tailrace.model.textual import type_name, value_from_text

CANARY = "hunter2-canary"


class Shade(StrEnum):
    DARK = "dark"
    PALE = "pale"


def _short(_instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if len(value) > 1:
        message = f"{attribute.name} is one character"
        raise ValueError(message)


@attrs.frozen
class Options:
    needed: str = option(help="Has no default.")
    delimiter: str = option(",", help="Between fields.", validator=_short)
    bom: bool = option(default=False, help="Mark.")
    size: int = option(5, help="Size.", validator=attrs.validators.ge(0))
    ratio: float = option(0.5, help="Ratio.")
    shade: Shade = option(Shade.DARK, help="Shade.")
    end: Literal["lf", "crlf"] = option("lf", help="End.")
    names: tuple[str, ...] = option((), help="Names.")
    pairs: Mapping[str, str] = option(attrs.Factory(dict), help="Pairs.")
    level: int | Literal["fast"] = option(6, help="Level.")
    most: int | None = option(None, help="Most.")
    root: Path = option(Path("x"), help="Root.")
    roots: tuple[Path, ...] = option((Path("x"),), help="Roots.")
    password: str = option("", help="Password.", secret=True, metadata={"more": 1})


def made(**given: Any) -> Options:
    return build_options(Options, {"needed": "n", **given}, owner="format csv")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("bom", "true", True),
        ("bom", "YES", True),
        ("bom", "on", True),
        ("bom", "1", True),
        ("bom", "0", False),
        ("bom", "off", False),
        ("bom", True, True),
        ("size", "7", 7),
        ("size", 7, 7),
        ("ratio", "0.25", 0.25),
        ("ratio", 1, 1.0),
        ("shade", "pale", Shade.PALE),
        ("shade", Shade.PALE, Shade.PALE),
        ("end", "crlf", "crlf"),
        ("names", "a, b,,c", ("a", "b", "c")),
        ("names", "", ()),
        ("names", ["a", "b"], ("a", "b")),
        ("pairs", "a=b, c = d=e", {"a": "b", "c": "d=e"}),
        ("pairs", {"a": "b"}, {"a": "b"}),
        ("level", "9", 9),
        ("level", "fast", "fast"),
        ("most", "", None),
        ("most", "3", 3),
        ("most", None, None),
        ("root", "a/b", Path("a/b")),
        ("root", Path("a/b"), Path("a/b")),
        ("roots", "a,b", (Path("a"), Path("b"))),
        ("delimiter", ";", ";"),
    ],
)
def test_texts_become_what_the_option_is(name: str, given: object, expected: object) -> None:
    value = getattr(made(**{name: given}), name)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("bom", "maybe", "expected true or false."),
        ("bom", 1, "expected true or false, got int"),
        ("size", "1.5", "expected whole number."),
        ("size", True, "expected a whole number, got bool"),
        ("size", "-1", "'size' must be >= 0: -1"),
        ("ratio", "x", "expected number."),
        ("ratio", "nan", "expected a finite number"),
        ("shade", "grey", "expected one of dark, pale."),
        ("end", "cr", "expected one of lf, crlf."),
        ("names", 5, "expected a list, got int"),
        ("names", ["a", 5], "expected text, got int @ $[1]"),
        ("pairs", "a", "expected name=value pairs, separated by commas."),
        ("level", "quick", "expected whole number or one of fast."),
        ("level", 1.5, "expected a whole number, got float or expected one of 'fast'"),
        ("most", "x", "expected whole number or nothing."),
        ("most", 1.5, "expected a whole number, got float"),
        ("root", 5, "expected a path as text, got int"),
        ("delimiter", ";;", "delimiter is one character"),
    ],
)
def test_what_does_not_fit_names_the_option(name: str, given: object, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        made(**{name: given})
    # A validator that raises a message only does not say whose it is.
    owner = "format csv" if name in {"size", "delimiter"} and isinstance(given, str) and given[:1] in "-;" else name
    assert caught.value.option == owner
    assert caught.value.message == f"Option {owner!r}: {message}"
    assert caught.value.exit_code == 2


def test_unknown_and_missing_options() -> None:
    with pytest.raises(UnknownNameError) as unknown:
        made(delimeter=";")
    assert unknown.value.message == "There is no option 'delimeter' in format csv."
    assert unknown.value.hint.startswith("Did you mean 'delimiter'? There is: needed, delimiter, bom, ")
    with pytest.raises(OptionError) as missing:
        build_options(Options, {}, owner="format csv")
    assert missing.value.message == "Option 'needed': format csv needs it."
    assert missing.value.hint == "Has no default."


@attrs.frozen
class Strict:
    pin: str = option("1", help="Pin.", secret=True, validator=attrs.validators.in_(["1"]))
    typed: str = option("1", help="Typed.", validator=attrs.validators.matches_re("1"))
    size: int = option(1, help="Size.")

    def __attrs_post_init__(self) -> None:
        if self.size == 2:
            raise ValueError
        if self.size == 3:
            raise TypeError("three")


def test_rules_of_plugins_are_told_but_secrets_are_not() -> None:
    with pytest.raises(OptionError) as secret:
        build_options(Strict, {"pin": CANARY}, owner="sink x")
    assert secret.value.message == "Option 'pin': the value does not fit."
    assert secret.value.__cause__ is None
    with pytest.raises(OptionError, match=r"Option 'typed': 'typed' must match regex '1' \('2' doesn't\)"):
        build_options(Strict, {"typed": "2"}, owner="sink x")
    with pytest.raises(OptionError, match=r"^Option 'sink x': the value does not fit\.$"):
        build_options(Strict, {"size": 2}, owner="sink x")
    with pytest.raises(OptionError, match=r"^Option 'sink x': three$"):
        build_options(Strict, {"size": 3}, owner="sink x")
    with pytest.raises(OptionError, match=r"^Option 'sink x': the value does not fit\.$"):
        build_options(Strict, {"size": 3, "pin": "1"}, owner="sink x")


def test_options_are_described() -> None:
    described = {one.name: one for one in describe_options(Options)}
    assert list(described) == [field.name for field in attrs.fields(Options)]
    assert described["needed"] == OptionDescription("needed", "text", None, required=True, help="Has no default.")
    assert described["size"] == OptionDescription("size", "whole number", 5, required=False, help="Size.")
    assert described["shade"].type == "one of dark, pale"
    assert described["shade"].default == "dark"
    assert described["pairs"].default == {}
    assert described["root"].default == "x"
    assert described["roots"].default == ["x"]
    assert described["password"].default is None

    @attrs.frozen
    class Derived:
        a: int = option(1, help="")
        b: int = option(attrs.Factory(lambda self: self.a, takes_self=True), help="")

    assert [one.default for one in describe_options(Derived)] == [1, None]


def test_secrets_are_hidden() -> None:
    options = made(password=CANARY, root="a", roots="b")
    shown = public_options(options)
    assert shown["password"] == "***"
    assert shown["root"] == "a"
    assert shown["roots"] == ["b"]
    assert shown["shade"] == "dark"
    assert CANARY not in repr(options) + repr(shown)
    assert attrs.fields_dict(Options)["password"].metadata == {"help": "Password.", "secret": True, "more": 1}


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (str, "text"),
        (Path, "path"),
        (tuple[int, ...], "list of whole number"),
        (Mapping[str, str], "name=value pairs, separated by commas"),
        (dict, "name=value pairs, separated by commas"),
        (int | None, "whole number or nothing"),
        (Shade, "one of dark, pale"),
        (bytes, "bytes"),
        (Any, "Any"),
    ],
)
def test_types_have_names_for_people(wanted: object, name: str) -> None:
    assert type_name(wanted) == name


def test_a_text_that_cannot_be_read_is_not_quoted() -> None:
    with pytest.raises(OptionError) as caught:
        value_from_text(CANARY, int, "size")
    assert caught.value.message == "Option 'size': expected whole number."
    assert caught.value.__cause__ is None
    assert value_from_text("as it is", object, "x") == "as it is"
    assert value_from_text("a", str | None, "x") == "a"
