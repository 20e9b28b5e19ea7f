"""The filter language: small, safe, and told apart from Python.

::

    success = false and response_time_ms > 1000
    endpoint like '%/api/%' or http_status in (500, 502, 503)
    timestamp >= '2026-08-15' and error_code is not null
    not (cost between 0.1 and 0.2)

Columns are names, or ``"quoted names"``; texts stand in ``'single quotes'``, doubled inside. Words of the language are
not case-sensitive. As in SQL, a comparison with an empty cell is neither true nor false, and the row is left out; ask
for it with ``is null``. Nothing is evaluated: the text becomes a polars expression or an error with a position.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from tailrace.model.errors import ExpressionError, RequestError, UnknownNameError
from tailrace.pipeline.exact import exactly
from tailrace.pipeline.moments import beside, moment_of, zone

if TYPE_CHECKING:
    import polars as pl

_LONGEST = 10_000
_DEEPEST = 50
_DIGITS = 38
_KINDS = {"String": "text", "Boolean": "flag", "Datetime": "time", "Date": "date", "Null": "empty"}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
      | '(?P<text>(?:[^']|'')*)'
      | "(?P<quoted>(?:[^"]|"")*)"
      | (?P<word>[^\W\d][\w.]*)
      | (?P<sign><=|>=|<>|!=|==|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_RESERVED = frozenset(("and", "or", "not", "in", "is", "null", "like", "ilike", "between", "true", "false"))
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@attrs.frozen
class _Token:
    kind: str
    value: str
    position: int


@attrs.frozen
class _Operand:
    """A column or a literal, and what kind of value it has: number, text, flag, time, date, empty or a polars type."""

    expression: "pl.Expr | None"
    kind: str
    position: int
    column: str | None = None
    dtype: "pl.DataType | None" = None
    literal: Any = None


def columns_of(text: str) -> frozenset[str]:
    """The names of the columns that an expression mentions, whether they exist or not.

    Raises:
        ExpressionError: It contains something that is no part of the language.
    """
    return frozenset(
        token.value
        for token in _tokens(text)
        if token.kind == "quoted" or (token.kind == "word" and token.value.lower() not in _RESERVED)
    )


def parse(text: str, schema: "Mapping[str, pl.DataType]", moment_of: Callable[[str], datetime]) -> "pl.Expr":
    """Turn a filter into a polars expression that is true for the rows to keep.

    Args:
        text: The filter.
        schema: The columns it may mention, with their types.
        moment_of: Reads the texts that are compared with times and dates, in the zone that dates are meant in.

    Raises:
        UnknownNameError: A column that is not in the schema.
        ExpressionError: Anything else, with the position.
    """
    return _Parser(text, schema, moment_of).whole()


def filter_expression(text: str, schema: "Mapping[str, pl.DataType]", *, now: datetime, time_zone: str) -> "pl.Expr":
    """Turn a filter into a polars expression that is true for the rows to keep, for sources that filter themselves.

    Args:
        text: The filter.
        schema: The columns it may mention, with their types.
        now: The moment that is now, UTC.
        time_zone: IANA zone that dates are meant in.

    Raises:
        UnknownNameError: A column that is not in the schema.
        ExpressionError: Anything else, with the position.
    """
    local = zone(time_zone)
    return parse(text, schema, lambda words: moment_of(words, now=now, local=local).astimezone(local))


def _tokens(text: str) -> list[_Token]:
    if len(text) > _LONGEST:
        raise ExpressionError(
            f"A filter may have {_LONGEST} characters, this one has {len(text)}.", expression=text[:60], position=0
        )
    tokens: list[_Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            what = "This text is not closed" if text[start] in "'\"" else f"Unexpected {text[start]!r}"
            raise ExpressionError(f"{what}:", expression=text, position=start)
        kind, value = match.lastgroup, match[match.lastgroup]
        # A quote is not part of the group, so that the position of texts is one less.
        start = match.start(kind) - (kind in {"text", "quoted"})
        quote = {"text": "'", "quoted": '"'}.get(kind, "")
        tokens.append(_Token(kind, value.replace(quote * 2, quote) if quote else value, start))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent over: or < and < not < comparison."""

    def __init__(self, text: str, schema: "Mapping[str, pl.DataType]", moment_of: Callable[[str], datetime]) -> None:
        self._text = text
        self._schema = schema
        self._moment_of = moment_of
        self._tokens = [*_tokens(text), _Token("end", "", len(text))]
        self._index = 0
        self._depth = 0

    def whole(self) -> "pl.Expr":
        expression = self._or()
        if self._next.kind != "end":
            self._fail("Expected 'and', 'or' or the end here:")
        return expression

    @property
    def _next(self) -> _Token:
        return self._tokens[self._index]

    def _fail(self, message: str, *, position: int | None = None, hint: str = "") -> NoReturn:
        where = self._next.position if position is None else position
        raise ExpressionError(message, expression=self._text, position=where, hint=hint)

    def _take(self, *values: str) -> _Token | None:
        """Take the next token if it is one of these words or signs."""
        token = self._next
        if token.kind in {"word", "sign"} and token.value.lower() in values:
            self._index += 1
            return token
        return None

    def _need(self, value: str) -> None:
        if not self._take(value):
            self._fail(f"Expected {value!r} here:")

    def _or(self) -> "pl.Expr":
        left = self._and()
        while self._take("or"):
            left = left | self._and()
        return left

    def _and(self) -> "pl.Expr":
        left = self._not()
        while self._take("and"):
            left = left & self._not()
        return left

    def _not(self) -> "pl.Expr":
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail(f"More than {_DEEPEST} levels deep:")
        try:
            if self._take("not"):
                return ~self._not()
            if self._take("("):
                inner = self._or()
                self._need(")")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> "pl.Expr":
        left = self._operand()
        if sign := self._take(*_COMPARE):
            return self._compare(left, sign, self._operand())
        if self._take("is"):
            negated = bool(self._take("not"))
            self._need("null")
            column = self._column(left)
            return column.is_not_null() if negated else column.is_null()
        negated = bool(self._take("not"))
        result = self._set_or_pattern(left)
        if result is not None:
            return ~result if negated else result
        if negated:
            self._fail("Expected 'in', 'like' or 'between' here:")
        if left.kind != "flag" or left.expression is None:
            self._fail("Expected a comparison here:", hint="Such as: response_time_ms > 1000")
        return left.expression

    def _set_or_pattern(self, left: _Operand) -> "pl.Expr | None":
        if word := self._take("in"):
            self._need("(")
            choices = [self._equal(left, word, self._operand())]
            while self._take(","):
                choices.append(self._equal(left, word, self._operand()))
            self._need(")")
            # A chain of comparisons would be as deep as the list is long.
            import polars as pl

            return pl.any_horizontal(choices)
        if word := self._take("like", "ilike"):
            return self._like(left, word)
        if word := self._take("between"):
            low = self._operand()
            self._need("and")
            return self._compare(left, attrs.evolve(word, value=">="), low) & self._compare(
                left, attrs.evolve(word, value="<="), self._operand()
            )
        return None

    def _like(self, left: _Operand, word: _Token) -> "pl.Expr":
        pattern = self._operand()
        if left.kind == "empty":
            return _unknown(left)
        if left.kind != "text":
            self._fail(
                f"{word.value!r} compares texts, {left.column or 'this'} is a {left.kind}:", position=left.position
            )
        if pattern.kind != "text" or pattern.column:
            self._fail("Expected a pattern in single quotes here:", position=pattern.position)
        special = {"%": ".*", "_": "."}
        body = "".join(special.get(character) or _escape(character) for character in str(pattern.literal))
        flags = "is" if word.value.lower() == "ilike" else "s"
        return self._column(left).str.contains(f"(?{flags})^{body}$")

    def _operand(self) -> _Operand:
        token = self._next
        lowered = token.value.lower()
        if token.kind == "number":
            self._index += 1
            # Beyond 128 bits polars, and beyond 4300 digits Python, have no whole numbers.
            whole = not set(lowered) & set(".e") and len(lowered) <= _DIGITS
            number = int(token.value) if whole else float(token.value)
            return _Operand(None, "number", token.position, literal=number)
        if token.kind == "text":
            self._index += 1
            return _Operand(None, "text", token.position, literal=token.value)
        if token.kind == "word" and lowered in {"true", "false"}:
            self._index += 1
            return _Operand(None, "flag", token.position, literal=lowered == "true")
        if token.kind != "quoted" and (token.kind != "word" or lowered in _RESERVED):
            hint = "Ask for empty cells with: column is null" if lowered == "null" else ""
            self._fail("Expected a column or a value here:", hint=hint)
        self._index += 1
        return self._named(token)

    def _named(self, token: _Token) -> _Operand:
        import polars as pl

        if token.value not in self._schema:
            raise UnknownNameError("column", token.value, self._schema)
        dtype = self._schema[token.value]
        column = exactly(token.value)
        kind = _KINDS.get(type(dtype).__name__, str(dtype))
        if dtype.is_numeric():
            kind = "number"
        elif isinstance(dtype, pl.Categorical | pl.Enum):
            kind, column = "text", column.cast(pl.String)
        return _Operand(column, kind, token.position, column=token.value, dtype=dtype)

    def _column(self, operand: _Operand) -> "pl.Expr":
        if operand.expression is None:
            self._fail("Expected a column here:", position=operand.position)
        return operand.expression

    def _equal(self, left: _Operand, word: _Token, right: _Operand) -> "pl.Expr":
        return self._compare(left, attrs.evolve(word, value="="), right)

    def _compare(self, left: _Operand, sign: _Token, right: _Operand) -> "pl.Expr":
        if left.column is None and right.column is None:
            self._fail("Two values are compared; one of them must be a column:", position=left.position)
        if empty := next((operand for operand in (left, right) if operand.kind == "empty"), None):
            return _unknown(empty)
        compare = _COMPARE[sign.value]
        first, second = self._pair(left, right)
        if sign.value[0] in "<>" and sign.value != "<>" and left.dtype is not None and left.dtype.is_nested():
            self._fail(f"{left.column} is a {left.kind}, which has no order:", position=sign.position)
        return compare(first, second)  # type: ignore[no-any-return]  # operators of pl.Expr

    def _pair(self, left: _Operand, right: _Operand) -> "tuple[Any, Any]":
        """Both sides as polars compares them: texts become times where the other side is one."""
        import polars as pl

        if left.expression is None:
            second, first = self._pair(right, left)
            return first, second
        if right.kind == "text" and right.column is None and left.kind in {"time", "date"}:
            moment = self._moment(right)
            if isinstance(left.dtype, pl.Datetime):
                return beside(left.expression, left.dtype, moment)
            return left.expression, pl.lit(moment.date())
        if left.kind != right.kind:
            advice = {"text": "Write texts in single quotes.", "time": "Write times in single quotes."}
            self._fail(
                f"{left.column} is a {left.kind}, this is a {right.kind}:",
                position=right.position,
                hint="" if right.column else advice.get(left.kind, ""),
            )
        if right.expression is None:
            return left.expression, pl.lit(right.literal)
        if left.kind == "time" and left.dtype != right.dtype:
            return _in_utc(left), _in_utc(right)
        return left.expression, right.expression

    def _moment(self, operand: _Operand) -> datetime:
        try:
            return self._moment_of(str(operand.literal))
        except RequestError as error:
            self._fail(error.message, position=operand.position, hint=error.hint)


def _unknown(operand: _Operand) -> "pl.Expr":
    """What any comparison with a column that has no values comes to."""
    import polars as pl

    return exactly(str(operand.column)).cast(pl.Boolean)


def _in_utc(operand: _Operand) -> Any:
    """A column of times without its zone, in microseconds: polars compares no two zones, and rounds to milliseconds."""
    import polars as pl

    times: Any = operand.expression
    if isinstance(operand.dtype, pl.Datetime) and operand.dtype.time_zone is not None:
        times = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return times.dt.cast_time_unit("us")


def _escape(character: str) -> str:
    return "\\" + character if character in r"\.+*?()|[]{}^$#&-~/" else character
