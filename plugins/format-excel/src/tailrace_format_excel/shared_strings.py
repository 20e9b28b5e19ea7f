"""The table of shared strings: each text once, in the order in which the cells name it.

polars gives each text its number: a categorical of our own numbers texts in the order in which it meets them, and it is
shown one batch at a time. What is new is looked at once, escaped, deflated and forgotten.
"""

from collections.abc import Callable

import polars as pl
from isal import isal_zlib

from tailrace_format_excel.archive import Archive, deflated
from tailrace_format_excel.text import escaped, is_odd, xstring

PART = "xl/sharedStrings.xml"
_START = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
)
_END = b"</sst>"
ITEM = b"</si>"
"""What each of its items ends with."""
_ITEM_START, _ITEM_END = '<si><t xml:space="preserve">', "</t></si>"
_TOGETHER = 1 << 20
"""Characters that are deflated together."""


class SharedStrings:
    """Numbers texts, and writes the table of them.

    Attributes:
        count: Texts so far.
        size: Their bytes.
    """

    def __init__(self) -> None:
        self._dtype = pl.Categorical(pl.Categories.random())
        # polars forgets the numbers when nothing of this type is left.
        self._keeps_numbers = pl.Series(dtype=self._dtype)
        self._pieces: list[bytes] = []
        self._crc = self._plain_size = 0
        self._waiting: list[str] = []
        self._waiting_size = 0
        self.count = self.size = 0
        self._settle(_START)

    def numbers(self, texts: pl.Series, check: Callable[[pl.Series], None]) -> pl.Series:
        """The number of each text, one-based; 0 for null.

        Args:
            texts: Of type String.
            check: Called with odd ones that were not met before; raises where one cannot be written.
        """
        numbers = texts.cast(self._dtype).to_physical().alias("number")
        last = numbers.max()
        if isinstance(last, int) and last >= self.count:
            self._take(pl.DataFrame([numbers, texts.alias("text")]), last + 1, check)
        return numbers.to_frame().select((pl.col("number") + 1).fill_null(0)).to_series()

    def write(self, archive: Archive, more: bytes) -> None:
        """Write the table.

        Args:
            archive: Where to.
            more: Items that follow those of the data, as XML.
        """
        self._settle("".join(self._waiting).encode() + more + _END)
        archive.begin(PART)
        archive.adopt(self._pieces, crc=self._crc, size=self._plain_size)
        archive.end()

    def _take(self, frame: pl.DataFrame, count: int, check: Callable[[pl.Series], None]) -> None:
        """Take in what is new: each text where its number is higher than all before."""
        text, number = pl.col("text"), pl.col("number").cast(pl.Int64).fill_null(-1)
        highest = number.clip(lower_bound=self.count - 1).cum_max().shift(1, fill_value=self.count - 1)
        new = (
            frame.lazy()
            .filter(number > highest)
            .select("text", size=text.str.len_bytes(), odd=is_odd(text), xml=escaped(text))
            .collect()
        )
        if self.count + new.height != count:  # pragma: no cover - polars would have changed
            message = "polars numbers categories in another way than in the order of their texts"
            raise RuntimeError(message)
        xml = new["xml"]
        if new["odd"].any():
            odd = new.filter("odd")
            check(odd["text"])
            escapes = pl.DataFrame({"xml": [xstring(text) for text in odd["text"]]}).select(escaped(pl.col("xml")))
            xml = xml.clone().scatter(new["odd"].arg_true(), escapes.to_series())
        self.count = count
        self.size += int(new["size"].sum())
        self._waiting.append(f"{_ITEM_START}{xml.str.join(_ITEM_END + _ITEM_START).item()}{_ITEM_END}")
        self._waiting_size += len(self._waiting[-1])
        if self._waiting_size >= _TOGETHER:
            self._settle("".join(self._waiting).encode())
            self._waiting.clear()
            self._waiting_size = 0

    def _settle(self, plain: bytes) -> None:
        self._pieces.append(deflated(plain))
        self._crc = isal_zlib.crc32(plain, self._crc)
        self._plain_size += len(plain)
