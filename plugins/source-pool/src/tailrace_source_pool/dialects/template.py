"""The dialect ``template``: a line of the user's own, such as ``{scheme}://{username}:{password}@{host}:{port}``.

A name in braces stands for a part, ``{username:url}`` for it in percent-encoding; ``{{`` and ``}}`` are braces.
"""

import re
from collections.abc import Iterator

import attrs
import polars as pl

from tailrace import OptionError
from tailrace_source_pool.dialects import percent

PLACES = ("scheme", "host", "port", "username", "password")
_ENCODED = "url"
_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<name>\w+)(?::(?P<spec>\w+))?\}|[{}]|[^{}]+")
_PATTERNS = {"scheme": "[A-Za-z][A-Za-z0-9+.-]*", "host": r"\[[^\]]*\]|[^\s:/?#@\[\]]+", "port": "[0-9]{1,5}"}
_OPTION = "template"
_EXAMPLE = "For example: {scheme}://{username:url}:{password:url}@{host}:{port}"


@attrs.frozen
class Place:
    """A part of a template that stands for something.

    Args:
        name: What: one of :data:`PLACES`.
        encoded: Whether it is percent-encoded.
    """

    name: str
    encoded: bool


@attrs.frozen
class Template:
    """A template, understood.

    Args:
        pieces: Its places, and the texts between them.
    """

    pieces: tuple[Place | str, ...]

    @classmethod
    def of(cls, text: str | None) -> "Template":
        """Understand a template.

        Raises:
            OptionError: None was given, or one that lines cannot be read by.
        """
        if text is None:
            raise OptionError(_OPTION, "this dialect needs one.", hint=_EXAMPLE)
        if re.search(r"[\x00-\x1f\x7f-\x9f]", text):
            raise OptionError(_OPTION, "it holds line ends or other control characters.", hint=_EXAMPLE)
        template = cls(tuple(_joined(_tokens(text.strip()))))
        template._check()
        return template

    @property
    def names(self) -> tuple[str, ...]:
        """The parts that it has."""
        return tuple(piece.name for piece in self.pieces if isinstance(piece, Place))

    def read(self, lines: pl.Series) -> pl.DataFrame:
        """Take lines apart, as :mod:`tailrace_source_pool.dialects.shapes` has it."""
        short, long = (lines.str.extract_groups(self._pattern(any_text)).struct.unnest() for any_text in (".*?", ".*"))
        differs = pl.DataFrame([short[name].ne_missing(long[name]) for name in self.names])
        decoded = long.select(
            (percent.decoded(long[piece.name]) if piece.encoded else long[piece.name]).alias(piece.name)
            for piece in self.pieces
            if isinstance(piece, Place)
        )
        missing = [pl.lit(None, pl.String).alias(name) for name in PLACES if name not in self.names]
        facts = pl.DataFrame(
            {
                "other": long["host"].is_null(),
                "differs": differs.select(pl.any_horizontal(pl.all())).to_series(),
                "broken": pl.DataFrame([long[name].is_not_null() & decoded[name].is_null() for name in self.names])
                .select(pl.any_horizontal(pl.all()))
                .to_series(),
            }
        )
        reason = facts.select(
            pl.when("other")
            .then(pl.lit("it is not as the template has it"))
            .when("differs")
            .then(pl.lit("the template fits it in several ways: what is between two parts is also in one of them"))
            .when("broken")
            .then(pl.lit("a part is not UTF-8 when its percent signs are decoded"))
            .alias("reason")
        ).to_series()
        return decoded.with_columns(missing).select(
            pl.col("scheme").str.to_lowercase(), "host", "port", "username", "password", reason
        )

    def write(self, parts: pl.DataFrame) -> pl.Series:
        """Put lines together.

        Args:
            parts: :data:`PLACES` as columns, the host in brackets where it needs them; null is nothing.
        """
        texts = parts.select(pl.col(PLACES).cast(pl.String))
        line = [
            pl.lit(piece)
            if isinstance(piece, str)
            else pl.lit(percent.encoded(texts[piece.name]) if piece.encoded else texts[piece.name]).fill_null("")
            for piece in self.pieces
        ]
        return parts.select(pl.concat_str(line).alias("line")).to_series()

    def _pattern(self, any_text: str) -> str:
        parts = [
            re.escape(piece) if isinstance(piece, str) else f"(?P<{piece.name}>{_PATTERNS.get(piece.name, any_text)})"
            for piece in self.pieces
        ]
        return f"^{''.join(parts)}$"

    def _check(self) -> None:
        if missing := [name for name in ("host", "port") if name not in self.names]:
            raise OptionError(_OPTION, f"it has no {{{missing[0]}}}.", hint=_EXAMPLE)
        if len(set(self.names)) < len(self.names):
            raise OptionError(_OPTION, "it has a part twice.", hint=_EXAMPLE)
        for first, second in zip(self.pieces, self.pieces[1:], strict=False):
            if isinstance(first, Place) and isinstance(second, Place):
                raise OptionError(_OPTION, "nothing stands between two of its parts.", hint=_EXAMPLE)


def _tokens(text: str) -> Iterator[Place | str]:
    for token in _TOKEN.finditer(text):
        name, spec = token["name"], token["spec"]
        if token[0] in {"{{", "}}"}:
            yield token[0][0]
        elif name is not None:
            if name not in PLACES:
                raise OptionError(_OPTION, f"it has {{{name}}}.", hint=f"There is: {', '.join(PLACES)}.")
            if spec not in {None, _ENCODED}:
                raise OptionError(_OPTION, f"it has {{{name}:{spec}}}.", hint=f"There is: {{{name}:{_ENCODED}}}.")
            yield Place(name, encoded=spec is not None)
        elif token[0] in {"{", "}"}:
            raise OptionError(_OPTION, "a brace stands alone in it.", hint="Write {{ or }} for a brace.")
        else:
            yield token[0]


def _joined(pieces: Iterator[Place | str]) -> Iterator[Place | str]:
    """The pieces, texts next to each other as one."""
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            yield text
        yield piece
        text = ""
    if text:
        yield text
