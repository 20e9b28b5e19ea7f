"""Strict JSON, read in pieces: any number of elements in bounded memory, each mistake with its path.

What Python's reader forgives is found here: names that are in an object twice, numbers that are not finite or too
large, half characters. Such a value is told and replaced by null; where the text is no JSON, reading ends.
"""

import codecs
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from tailrace_source_pool.documents.findings import BrokenOffError
from tailrace_source_pool.strict_json import depth

LARGEST_VALUE = 8 << 20
"""Characters of the largest single value that is read: a proxy with all that is said about it, or a manifest."""
DEEPEST = 100
"""How deeply such a value may be nested."""

_AT_LEAST = 64
"""Characters from which on what follows a value or mistake cannot change it."""
_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")
_EARLY = "it ends in the middle"
_TWICE = "it is there twice"
_HALF = "a text holds half a character (a lone surrogate)"
_TOO_LARGE = "the number is too large"


@attrs.frozen
class Flaw:
    """What cannot be, in place of the value; ``path`` is relative to the value that was read: ``".port"``."""

    path: str
    reason: str


@attrs.frozen(repr=False)
class Value:
    """A value, and what was wrong in it."""

    content: Any
    flaws: tuple[Flaw, ...] = ()


class JsonText:
    """Reads one JSON text from blocks of UTF-8, from front to back.

    Args:
        blocks: The text; blocks end anywhere.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._lines = self._column = 0
        self._ended = False
        self._decoder = _Decoder()
        self._end_reason = _EARLY

    def next_character(self) -> str:
        """The next character that is not white space, which stays where it is; empty at the end."""
        while True:
            end = _SPACE.match(self._text, self._at)
            self._at = end.end() if end else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._fill(1)

    def elements(self) -> Iterator[Value]:
        """The elements of the list that comes next, one by one."""
        self._expect("[")
        if self._skips("]"):
            return
        while True:
            yield self.value()
            if self._skips("]"):
                return
            self._expect(",")

    def names(self) -> Iterator[str]:
        """The names of the object that comes next; after each of them its value is to be read."""
        self._expect("{")
        if self._skips("}"):
            return
        while True:
            if self.next_character() != '"':
                raise self._broken("expected a name in double quotes")
            name = self.value().content
            self._expect(":")
            # One that holds half a character is none that anybody knows.
            yield name if isinstance(name, str) else ""
            if self._skips("}"):
                return
            self._expect(",")

    def value(self) -> Value:
        """The value that comes next, as a whole."""
        if not self.next_character():
            raise self._broken(self._end_reason)
        start, decoder = self._at, self._decoder
        decoder.flawed = False
        while True:
            try:
                content, end = decoder.raw_decode(self._text, start)
                if end - start <= LARGEST_VALUE and (self._ended or end + _AT_LEAST < len(self._text)):
                    break
            except json.JSONDecodeError as error:
                self._refuse(error.pos, error.msg)
            except RecursionError:
                raise self._broken("it is nested too deeply") from None
            except ValueError:
                # Python's own limit on the digits of a whole number: look at each of them.
                decoder = _Decoder(digits=True)
                continue
            if len(self._text) - start > LARGEST_VALUE:
                raise self._broken(f"a single value has more than {LARGEST_VALUE:,} characters")
            # Twice as much each time, so that a long value is not begun again and again.
            self._fill(len(self._text) - start)
            start = self._at
            decoder.flawed = False
        self._at = end
        if decoder.flawed or self._may_hold_half_characters(start, end):
            return _cleaned(content)
        return Value(content)

    def finish(self) -> None:
        """See that nothing follows."""
        if self.next_character():
            raise self._broken("something follows the end of the document")
        if self._end_reason != _EARLY:
            raise self._broken(self._end_reason)

    def _refuse(self, position: int, reason: str) -> None:
        """Raise for what is no JSON, unless it could be as soon as more is read."""
        open_text = reason.startswith("Unterminated")
        if not self._ended and (open_text or position + _AT_LEAST >= len(self._text)):
            return
        self._at = position
        raise self._broken(self._end_reason if open_text or position >= len(self._text) else _told(reason)) from None

    def _may_hold_half_characters(self, start: int, end: int) -> bool:
        # The plain search is far quicker than the pattern, and nearly always finds nothing.
        return self._text.find("\\u", start, end) >= 0 and bool(_SURROGATE.search(self._text, start, end))

    def _skips(self, character: str) -> bool:
        if self.next_character() != character:
            return False
        self._at += 1
        return True

    def _expect(self, character: str) -> None:
        if not self._skips(character):
            at_end = not self.next_character()
            raise self._broken(self._end_reason if at_end else f"expected {character!r}")

    def _fill(self, wanted: int) -> None:
        """Drop what was read, and read at least so many characters more, or to the end."""
        dropped = self._text[: self._at]
        lines = dropped.count("\n")
        self._column = len(dropped) - dropped.rfind("\n") - 1 if lines else self._column + len(dropped)
        self._lines += lines
        parts = [self._text[self._at :]]
        while wanted > 0 and not self._ended:
            parts.append(self._next_part())
            wanted -= len(parts[-1])
        self._text, self._at = "".join(parts), 0

    def _next_part(self) -> str:
        block = next(self._blocks, None)
        try:
            part = self._decode(block or b"", block is None)
        except UnicodeDecodeError as error:
            part, block = bytes(error.object[: error.start]).decode(), None
            self._end_reason = "it is not UTF-8 from here on"
        self._ended = block is None
        return part

    def _broken(self, reason: str) -> BrokenOffError:
        before = self._text[: self._at]
        line = self._lines + before.count("\n")
        column = len(before) - before.rfind("\n") - 1 if "\n" in before else self._column + len(before)
        return BrokenOffError(f"line {line + 1}, column {column + 1}", reason)


class _Twice(dict[str, Any]):
    """An object in which a name is twice."""

    names: tuple[str, ...] = ()


@attrs.frozen
class _Wrong:
    """In place of a value that cannot be."""

    reason: str


class _Decoder(json.JSONDecoder):
    """Marks what cannot be, without slowing down what can."""

    def __init__(self, *, digits: bool = False) -> None:
        self.flawed = False
        super().__init__(
            object_pairs_hook=self._object,
            parse_constant=lambda _text: self._wrong("NaN and Infinity are not JSON"),
            parse_float=self._float,
            # Python's own way is much quicker.
            parse_int=self._whole if digits else None,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        self.flawed = True
        twice = _Twice(made)
        names = [name for name, _value in pairs]
        twice.names = tuple(name for name in made if names.count(name) > 1)
        return twice

    def _float(self, text: str) -> object:
        number = float(text)
        return number if math.isfinite(number) else self._wrong(_TOO_LARGE)

    def _whole(self, text: str) -> object:
        try:
            return int(text)
        except ValueError:
            return self._wrong(_TOO_LARGE)

    def _wrong(self, reason: str) -> _Wrong:
        self.flawed = True
        return _Wrong(reason)


def step(name: str) -> str:
    """How a member is written in a path; one whose name could hold anything is not repeated."""
    return f".{name}" if _PLAIN_NAME.fullmatch(name) else "[…]"


def _cleaned(content: object) -> Value:
    """The value without what cannot be in it."""
    if depth(content) > DEEPEST:
        return Value(None, (Flaw("", "it is nested too deeply"),))
    cleaning = _Cleaning()
    cleaned = cleaning.value(content, "")
    return Value(cleaned, tuple(cleaning.flaws))


class _Cleaning:
    """Takes out of a value what cannot be in it, and remembers it."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []

    def value(self, value: object, path: str) -> object:
        """The value, with null in place of what cannot be."""
        if isinstance(value, dict):
            return self._members(value, path)
        if isinstance(value, list):
            return [self.value(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
        reason = value.reason if isinstance(value, _Wrong) else None
        if isinstance(value, str) and not _is_whole(value):
            reason = _HALF
        if reason is None:
            return value
        self.flaws.append(Flaw(path, reason))
        return None

    def _members(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        twice = value.names if isinstance(value, _Twice) else ()
        made: dict[str, Any] = {}
        for name, inner in value.items():
            if not _is_whole(name):
                self.flaws.append(Flaw(path + step(name), _HALF))
            elif name in twice:
                self.flaws.append(Flaw(path + step(name), _TWICE))
                made[name] = None
            else:
                made[name] = self.value(inner, path + step(name))
        return made


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _told(reason: str) -> str:
    """Python's words for a mistake, as a clause."""
    return f"it is not valid JSON ({reason.rstrip(':').lower()})"
