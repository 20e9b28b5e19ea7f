"""Searching bytes for secrets, however they are encoded, about as fast as a disk gives them.

An Aho-Corasick automaton of whole secrets is large, and slow for it: nearly every byte leads somewhere in it, into
memory that is in no cache. What is looked for first is therefore a piece of five bytes of each form, the one that
begins with the rarest byte: most bytes of a file then lead nowhere at all. Where a piece is found, a dictionary of all
forms tells whether one of them stands there.
"""

import os
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs

from tailrace.vault.forms import Form, forms_of

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

SHORTEST = 4
"""Bytes of the shortest secret that is looked for; what is shorter is everywhere."""
SHORTEST_NUMBER = 8
"""The same for secrets of digits only."""
WORDS_BELOW = 8
"""Forms of fewer bytes, and those of digits only, count only where they stand as a word of their own."""
LONGEST = 1024
"""Of longer forms, so many bytes are looked for."""

_PIECE = 5
_SAMPLE = 1 << 18
"""Bytes that tell which are rare."""
_SLICE = 4 << 20
_THREADS = min(os.cpu_count() or 1, 4)
_IN_WORDS = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# The digits behind a decimal point are no number of their own.
_IN_NUMBERS = _IN_WORDS | frozenset(b".")
_BASE64 = (Form.BASE64, Form.BASE64_URL)
_Kind = tuple[Form, str]
"""How a form is written, and the label of its secret."""
_Cut = tuple[int, int]
"""Where a form is around a piece of it: bytes before the piece, and length of the form."""


@attrs.frozen
class Hit:
    """A secret that was found; never which.

    Args:
        offset: Where it begins, in bytes.
        line: In which line, from 1.
        form: How it is written.
        label: What kind of secret it is, in the words of whoever named it; may be empty.
    """

    offset: int
    line: int
    form: Form
    label: str = ""


@attrs.frozen
class Counts:
    """How many secrets a search is for.

    Args:
        secrets: All that were given, each once.
        left_out_short: Not looked for at all, because they are too short.
        left_out_public: Not looked for as they are, because public texts hold them; only otherwise encoded.
    """

    secrets: int
    left_out_short: int
    left_out_public: int

    @property
    def searched(self) -> int:
        """Looked for in every form."""
        return self.secrets - self.left_out_short - self.left_out_public


class SecretSearch:
    """Finds secrets in bytes. It has no useful representation on purpose.

    Args:
        secrets: What to look for: texts, or what kind of secret each is (``"password"``) by text.
        public: Texts that are no secret and may be anywhere. A form of a secret that is found in one of them is not
            looked for: somebody whose password is ``healthy`` is to be able to export, too.
    """

    def __init__(self, secrets: Collection[str], *, public: Iterable[str] = ()) -> None:
        given = {secret for secret in secrets if secret}
        wanted = sorted(secret for secret in given if not _is_short(secret))
        self._known = _known_forms(wanted, secrets if isinstance(secrets, Mapping) else {})
        self._public = "\n".join(public).encode(errors="replace")
        self._automaton: BytesAhoCorasick | None = None
        self._cuts: list[tuple[_Cut, ...]] = []
        self._lock = threading.Lock()
        self._given, self._short, self._shown = len(given), len(given) - len(wanted), 0
        self._overlap = max(map(len, self._known), default=0) + 1

    @property
    def counts(self) -> Counts:
        """How many secrets are looked for; certain once something was searched."""
        return Counts(self._given, self._short, self._shown)

    @property
    def overlap(self) -> int:
        """Bytes of earlier data that are needed to judge what follows it: the longest form, and a byte before it."""
        return self._overlap

    def watch(self, blocks: Iterable[bytes]) -> "Watch":
        """Pass blocks on one by one, and search them meanwhile in other threads."""
        return Watch(self, blocks)

    def first_in(self, data: bytes, *, since: int = 0, final: bool = True, prose: bool = False) -> Hit | None:
        """The first secret in some bytes.

        Args:
            data: The bytes.
            since: What ends before this place does not count: it was judged before.
            final: Whether nothing follows. Otherwise what ends with the data does not count: it cannot be judged yet.
            prose: Whether they are sentences: what consists of letters only is then a word, and no secret.
        """
        automaton = self._prepared(data)
        if automaton is None:
            return None
        last = len(data) if final else len(data) - 1
        found = (
            (begin, end)
            for begin, end in self._found(automaton, data)
            if since <= end <= last and not (prose and data[begin:end].isalpha())
        )
        first = min(found, default=None)
        if first is None:
            return None
        begin, end = first
        form, label = self._known[data[begin:end]]
        return Hit(begin, data.count(b"\n", 0, begin) + 1, form, label)

    def _prepared(self, sample: bytes) -> "BytesAhoCorasick | None":
        """The automaton, made when the first data shows which bytes are rare; None with nothing to look for."""
        with self._lock:
            if self._automaton is None and self._known:
                self._automaton, self._cuts = _automaton(self._known, _rarity(sample[:_SAMPLE]))
                self._shown = self._forget_public(self._automaton)
        return self._automaton if self._known else None

    def _forget_public(self, automaton: "BytesAhoCorasick") -> int:
        """Forget the forms that public texts hold, and tell how many secrets are among them as they are."""
        shown = {self._public[begin:end] for begin, end in self._found(automaton, self._public)}
        return [form for form, _label in map(self._known.pop, shown)].count(Form.RAW)

    def _found(self, automaton: "BytesAhoCorasick", data: bytes) -> Iterator[tuple[int, int]]:
        """Beginnings and ends of all forms in the data."""
        known = self._known
        for piece, at, _end in automaton.find_matches_as_indexes(data, overlapping=True):
            for before, length in self._cuts[piece]:
                begin, end = at - before, at - before + length
                # A negative beginning would count from the other end of the data.
                kind = known.get(data[begin:end]) if begin >= 0 else None
                if kind is not None and (kind[0] in _BASE64 or _stands_alone(data, begin, end)):
                    yield begin, end


class Watch:
    """Blocks on their way, searched as they pass; to be iterated once.

    Memory is bounded: so many slices wait for a thread, then the blocks do.

    Args:
        search: What to look for.
        blocks: The data in order, in blocks that end anywhere.
    """

    def __init__(self, search: SecretSearch, blocks: Iterable[bytes]) -> None:
        self._search = search
        self._blocks = blocks
        self._waiting: deque[tuple[int, Future[_Slice]]] = deque()
        self._lines = 0
        self.hit: Hit | None = None
        """The first secret; known when all blocks were taken."""
        self.size = 0
        """Bytes that were searched."""

    def __iter__(self) -> Iterator[bytes]:
        return self._passed() if self._search.counts.secrets else iter(self._blocks)

    def _passed(self) -> Iterator[bytes]:
        tail = b""
        with ThreadPoolExecutor(_THREADS, "tailrace-search") as pool:
            for block in self._blocks:
                for start in range(0, len(block), _SLICE):
                    piece = block[start : start + _SLICE]
                    data = tail + piece
                    self._submit(pool, data, since=len(tail), final=False)
                    self.size += len(piece)
                    tail = data[-self._search.overlap :]
                yield block
            self._submit(pool, tail, since=len(tail), final=True)
            while self._waiting:
                self._settle()

    def drain(self) -> Hit | None:
        """Take all blocks, and tell the first secret."""
        deque(self, maxlen=0)
        return self.hit

    def _submit(self, pool: ThreadPoolExecutor, data: bytes, *, since: int, final: bool) -> None:
        if self.hit is None:
            future = pool.submit(_search_slice, self._search, data, since, final=final)
            self._waiting.append((self.size - since, future))
        if len(self._waiting) > 2 * _THREADS:
            self._settle()

    def _settle(self) -> None:
        base, future = self._waiting.popleft()
        found = future.result()
        if self.hit is None and found.hit is not None:
            line = self._lines - found.lines_before + found.hit.line
            self.hit = attrs.evolve(found.hit, offset=base + found.hit.offset, line=line)
        self._lines += found.lines


@attrs.frozen
class _Slice:
    hit: Hit | None
    lines_before: int
    lines: int


def _search_slice(search: SecretSearch, data: bytes, since: int, *, final: bool) -> _Slice:
    hit = search.first_in(data, since=since, final=final)
    return _Slice(hit, data.count(b"\n", 0, since), data.count(b"\n", since))


def _is_short(secret: str) -> bool:
    size = len(secret.encode(errors="surrogatepass"))
    return size < (SHORTEST_NUMBER if secret.isascii() and secret.isdigit() else SHORTEST)


def _known_forms(secrets: Collection[str], labels: Mapping[str, str]) -> dict[bytes, _Kind]:
    """What each form is."""
    # One object for each kind, however many forms are of it.
    kinds = {label: {form: (form, label) for form in Form} for label in {"", *labels.values()}}
    known: dict[bytes, _Kind] = {}
    for secret in secrets:
        of_form = kinds[labels.get(secret, "")]
        for form, written in forms_of(secret):
            kind = known.setdefault(written[:LONGEST], of_form[form])
            # What is a secret as it is stays one, even if another secret can be encoded like that.
            if form is Form.RAW and kind[0] is not Form.RAW:
                known[written[:LONGEST]] = of_form[form]
    return known


def _rarity(sample: bytes) -> bytes:
    """A table for ``bytes.translate``: each byte as its rank, the rarest first."""
    counted = Counter(sample)
    ranks = bytearray(256)
    for rank, byte in enumerate(sorted(range(256), key=lambda byte: counted[byte])):
        ranks[byte] = rank
    return bytes(ranks)


def _automaton(known: Collection[bytes], rarity: bytes) -> "tuple[BytesAhoCorasick, list[tuple[_Cut, ...]]]":
    """An automaton of a piece of each form, and where forms are around each piece."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    cuts: dict[bytes, tuple[_Cut, ...]] = {}
    # Few places are there, and many pieces that have them.
    singles: dict[_Cut, tuple[_Cut]] = {}
    for written in known:
        ranks = written[: max(1, len(written) - _PIECE + 1)].translate(rarity)
        before = ranks.index(min(ranks))
        cut = (before, len(written))
        single = singles.setdefault(cut, (cut,))
        piece = written[before : before + _PIECE]
        others = cuts.get(piece)
        if others is None:
            cuts[piece] = single
        elif cut not in others:
            cuts[piece] = others + single
    automaton = BytesAhoCorasick(list(cuts), implementation=Implementation.ContiguousNFA)
    return automaton, list(cuts.values())


def _stands_alone(data: bytes, begin: int, end: int) -> bool:
    written = data[begin:end]
    number = written.isdigit()
    if len(written) >= WORDS_BELOW and not number:
        return True
    inside = _IN_NUMBERS if number else _IN_WORDS
    return not ((begin and data[begin - 1] in inside) or (end < len(data) and data[end] in inside))
