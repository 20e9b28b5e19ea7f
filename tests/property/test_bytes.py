"""Whatever the chunks, the bytes are the same; whatever the damage, it is found."""

import gzip
import hashlib
import random
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace import Context, IntegrityError
from tailrace.model.request import CompressionLevel
from tailrace.pipeline.encode import BLOCK_SIZE, Encoded, Encoder, into_descriptor
from tailrace.pipeline.reread import FileReader, Reread

CONTENT = random.Random(1).randbytes(BLOCK_SIZE).hex().encode() + b"the end\n" * 40_000


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def write(path: Path, chunks: list[bytes], level: CompressionLevel | None) -> Encoded:
    with path.open("wb") as file, Encoder(into_descriptor(file.fileno()), level=level, context=Context()) as encoder:
        for chunk in chunks:
            encoder.write(chunk)
        return encoder.finish()


@given(
    cuts=st.lists(st.integers(0, len(CONTENT)), max_size=30),
    end=st.integers(0, len(CONTENT)),
    level=st.sampled_from([None, 1, "fast"]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chunks_give_the_same_bytes(
    folder: Path, cuts: list[int], end: int, level: CompressionLevel | None
) -> None:
    whole, cut = folder / "whole", folder / "cut"
    bounds = sorted({0, *(min(at, end) for at in cuts), end})
    chunks = [CONTENT[start:stop] for start, stop in pairwise(bounds)]
    assert write(cut, chunks, level) == write(whole, [CONTENT[:end]], level)
    stored = cut.read_bytes()
    assert stored == whole.read_bytes()
    assert (stored if level is None else gzip.decompress(stored)) == CONTENT[:end]


@given(data=st.data(), level=st.sampled_from([None, 1, 6, "fast"]), size=st.sampled_from([0, 1, 300, BLOCK_SIZE + 300]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_found(folder: Path, data: st.DataObject, level: CompressionLevel | None, size: int) -> None:
    path = folder / "damaged"
    encoded = write(path, [CONTENT[-size:] if size else b""], level)
    sound = path.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "add", "drop", "swap"]))
    at = data.draw(st.integers(0, max(len(sound) - 1, 0)))
    if kind == "flip" and sound:
        damaged = sound[:at] + bytes([sound[at] ^ (1 << data.draw(st.integers(0, 7)))]) + sound[at + 1 :]
    elif kind == "cut" and sound:
        damaged = sound[:at]
    elif kind == "drop" and sound:
        damaged = sound[:at] + sound[at + 1 :]
    elif kind == "swap" and len(sound) > 1:
        damaged = sound[at:] + sound[:at]
    else:
        damaged = sound + data.draw(st.binary(min_size=1, max_size=20))
    path.write_bytes(damaged)
    reread = Reread(path, encoded, Context())
    if damaged == sound:
        list(reread.blocks())
        return
    with pytest.raises(IntegrityError):
        list(reread.blocks())
    assert not reread.finished
    # Later, with nothing but the digest in the manifest.
    reader = FileReader(path, compressed=level is not None, context=Context())
    try:
        for _block in reader.blocks():
            pass
    except IntegrityError:
        reader.drain()
    assert reader.size == len(damaged)
    assert reader.sha256 == hashlib.sha256(damaged).hexdigest() != hashlib.sha256(sound).hexdigest()


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_gzip_or_our_error(folder: Path, content: bytes) -> None:
    path = folder / "foreign"
    path.write_bytes(content)
    try:
        plain = b"".join(FileReader(path, compressed=True, context=Context()).blocks())
    except IntegrityError:
        return
    assert gzip.decompress(content) == plain
