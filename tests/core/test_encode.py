import gzip
import hashlib
import io
import os
import random
import resource
import subprocess
import sys
import threading
import time
import zlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest

from tailrace import CancelledError, Context, IntegrityError
from tailrace.model.request import CompressionLevel
from tailrace.pipeline.encode import BLOCK_SIZE, GZIP_HEADER, Encoded, Encoder, into_descriptor
from tailrace.pipeline.reread import FileReader, Reread

if TYPE_CHECKING:
    from collections.abc import Generator

LEVELS: list[CompressionLevel] = [1, 2, 3, 4, 5, 6, 7, 8, 9, "fast"]


def sample(size: int) -> bytes:
    """Text that can be halved by compression, no two parts alike."""
    return random.Random(size).randbytes(-(-size // 2)).hex().encode()[:size]


def encode(content: bytes, level: CompressionLevel | None, **more: Any) -> tuple[bytes, Encoded]:
    target = io.BytesIO()
    with Encoder(lambda piece: void(target.write(piece)), level=level, context=Context(), **more) as encoder:
        assert encoder.write(content) == len(content)
        encoder.flush()
        return target.getvalue(), finished(encoder, target)[1]


def void(_result: object) -> None:
    return None


def finished(encoder: Encoder, target: io.BytesIO) -> tuple[bytes, Encoded]:
    encoded = encoder.finish()
    return target.getvalue(), encoded


def written(content: bytes, level: CompressionLevel | None, path: Path, **more: Any) -> Encoded:
    with (
        path.open("wb") as file,
        Encoder(into_descriptor(file.fileno()), level=level, context=Context(), **more) as encoder,
    ):
        encoder.write(content)
        return encoder.finish()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE, 2 * BLOCK_SIZE + 12345])
def test_every_level_is_one_ordinary_gzip_member(level: CompressionLevel, size: int, tmp_path: Path) -> None:
    content, path = sample(size), tmp_path / "x.gz"
    encoded = written(content, level, path)
    raw = path.read_bytes()
    assert gzip.decompress(raw) == content
    subprocess.run(["gzip", "-t", path], check=True)
    member = zlib.decompressobj(31)
    assert member.decompress(raw) == content
    assert (member.eof, member.unused_data) == (True, b"")
    assert raw.startswith(GZIP_HEADER)
    # No name, no clock, no operating system.
    assert bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]) == GZIP_HEADER
    assert encoded == Encoded(
        plain_size=size,
        plain_crc32=zlib.crc32(content),
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        compressed=True,
        blocks=encoded.blocks,
    )
    assert len(encoded.blocks) == -(-size // BLOCK_SIZE)
    assert len(GZIP_HEADER) + sum(encoded.blocks) + 2 + 8 == len(raw)


def test_small_levels_are_larger() -> None:
    source = random.Random(1)
    lines = "".join(f"2026-08-15T06:00:{source.random():.6f}Z,/api/{source.randrange(99)}\n" for _ in range(20_000))
    sizes = {level: encode(lines.encode(), level)[1].size for level in (1, 6, "fast")}
    assert sizes[1] > sizes["fast"] > sizes[6]
    assert sizes["fast"] <= 1.2 * sizes[6]


def test_plain_bytes_pass_as_they_are(tmp_path: Path) -> None:
    content, path = sample(BLOCK_SIZE + 5), tmp_path / "x"
    encoded = written(content, None, path)
    assert path.read_bytes() == content
    assert encoded == Encoded(len(content), zlib.crc32(content), len(content), None, compressed=False, blocks=())
    assert written(b"", None, path) == Encoded(0, 0, 0, None, compressed=False, blocks=())


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_change_nothing(threads: int) -> None:
    content = sample(5 * BLOCK_SIZE + 77)
    assert encode(content, 6, threads=threads) == encode(content, 6)


def test_writing_tells_the_bytes() -> None:
    context = Context()
    with Encoder(lambda _piece: None, level=None, context=context) as encoder:
        assert encoder.write(memoryview(b"abc")) == 3
        assert encoder.write(array("i", range(3))) == 12
        assert encoder.write(bytearray(2)) == 2
        assert encoder.finish().plain_size == 17
    assert context._bytes == 17  # noqa: SLF001 - nothing public tells it without a listener


def test_a_buffer_may_be_used_again_at_once() -> None:
    content = sample(BLOCK_SIZE)
    target, buffer = io.BytesIO(), bytearray(content)
    with Encoder(lambda piece: void(target.write(piece)), level=9, context=Context(), threads=1) as encoder:
        for _ in range(4):
            buffer[:] = content
            encoder.write(buffer)
            buffer[:] = bytes(BLOCK_SIZE)
            encoder.write(memoryview(content))
        encoder.finish()
    assert gzip.decompress(target.getvalue()) == content * 8


def test_memory_stays_bounded_when_the_disk_is_slow() -> None:
    waiting, most = 0, 0
    lock = threading.Lock()

    def put(_piece: object) -> None:
        time.sleep(0.002)

    with Encoder(put, level=1, context=Context()) as encoder:
        block = sample(BLOCK_SIZE)
        for _ in range(40):
            encoder.write(block)
            with lock:
                waiting = encoder._pending_size  # noqa: SLF001 - what bounds the memory
                most = max(most, waiting)
        encoder.finish()
    assert 0 < most <= 8 << 20


def test_the_first_failure_is_kept() -> None:
    full = OSError(28, "No space left on device")

    def put(_piece: object) -> None:
        raise full

    with Encoder(put, level=None, context=Context()) as encoder:
        for step in (lambda: encoder.write(b"x"), lambda: encoder.write(b"y"), encoder.finish):
            with pytest.raises(OSError, match="No space left"):
                step()
        assert encoder.failure is full


def test_a_failure_at_the_end_is_kept_too() -> None:
    full = OSError(28, "No space left on device")

    def put(_piece: object) -> None:
        raise full

    with Encoder(put, level=6, context=Context()) as encoder:
        encoder.write(b"x")
        assert encoder.failure is None
        with pytest.raises(OSError, match="No space left"):
            encoder.finish()
        assert encoder.failure is full


def test_cancelling_stops_in_the_middle() -> None:
    context = Context()
    with Encoder(lambda _piece: None, level=6, context=context) as encoder:
        encoder.write(b"x" * 100)
        context.cancel()
        with pytest.raises(CancelledError):
            encoder.write(b"x" * 100)
        with pytest.raises(CancelledError):
            encoder.finish()


def test_a_closed_encoder_takes_nothing() -> None:
    pieces: list[bytes] = []
    with Encoder(lambda piece: pieces.append(bytes(piece)), level=None, context=Context()) as encoder:
        encoder.write(b"x")
    with pytest.raises(ValueError, match="The file is closed"):
        encoder.write(b"y")
    assert pieces == [b"x"]


def test_short_writes_of_the_kernel_are_continued() -> None:
    # A pipe takes a part only: the reader is slow, and the descriptor does not block... it does, so all arrives.
    reader, writer = os.pipe()
    content, received = sample(300_000), bytearray()

    def read() -> None:
        while chunk := os.read(reader, 1000):
            received.extend(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    into_descriptor(writer)(content)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert bytes(received) == content


CHILD = """
import resource, signal, sys
from tailrace import Context
from tailrace.pipeline.encode import Encoder, into_descriptor
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
file = open(sys.argv[1], "wb", buffering=0)
with Encoder(into_descriptor(file.fileno()), level=None, context=Context()) as encoder:
    try:
        encoder.write(bytes(200_000))
    except OSError as error:
        assert encoder.failure is error
        print(error.errno)
"""


def test_the_limit_on_file_sizes_is_an_error(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", CHILD, tmp_path / "x"], capture_output=True, text=True, check=True)
    assert said.stdout == "27\n"
    # The kernel wrote what fits, and the rest was refused: a short write is never taken for a whole one.
    assert (tmp_path / "x").stat().st_size == 100_000


# Reading back what was written.


@pytest.mark.parametrize("level", [None, 1, 6, "fast"])
@pytest.mark.parametrize("size", [0, 5, BLOCK_SIZE, 21 * BLOCK_SIZE + 5])
def test_a_file_reads_back(level: CompressionLevel | None, size: int, tmp_path: Path) -> None:
    content, path = sample(size), tmp_path / "x"
    reread = Reread(path, written(content, level, path), Context())
    assert b"".join(reread.blocks()) == content
    assert reread.finished
    plain, stored = hashlib.sha256(content).hexdigest(), hashlib.sha256(path.read_bytes()).hexdigest()
    assert reread.digests == (plain, stored)


def test_a_file_that_was_not_read_has_no_digests(tmp_path: Path) -> None:
    path = tmp_path / "x"
    reread = Reread(path, written(sample(10 * BLOCK_SIZE), None, path), Context())
    blocks = reread.blocks()
    next(blocks)
    assert not reread.finished
    with pytest.raises(IntegrityError) as caught:
        reread.digests  # noqa: B018 - asking is what is tried
    assert caught.value.message == "The file was not read to its end."
    cast("Generator[bytes, None, None]", blocks).close()
    assert not reread.finished


def damages(raw: bytes) -> dict[str, bytes]:
    middle = len(raw) // 2
    flipped = bytearray(raw)
    flipped[middle] ^= 4
    return {
        "flipped": bytes(flipped),
        "cut": raw[:-1],
        "cut in half": raw[:middle],
        "emptied": b"",
        "longer": raw + b"x",
        "swapped": raw[:middle] + raw[middle:][::-1],
        "first byte": b"\x00" + raw[1:],
        "time in the header": raw[:5] + b"\x01" + raw[6:],
        "checksum": raw[:-8] + bytes(4) + raw[-4:],
        "two members": raw + gzip.compress(b""),
    }


@pytest.mark.parametrize("level", [None, 6, "fast"])
@pytest.mark.parametrize("damage", damages(b"abcdefghijklmnop"))
def test_damage_is_found_when_rereading(level: CompressionLevel | None, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    encoded = written(sample(3 * BLOCK_SIZE), level, path)
    path.write_bytes(damages(path.read_bytes())[damage])
    reread = Reread(path, encoded, Context())
    with pytest.raises(IntegrityError) as caught:
        for _block in reread.blocks():
            pass
    assert caught.value.hint == "The file or the disk is damaged: export again."
    assert not reread.finished


def test_a_damaged_piece_does_not_inflate_beyond_a_block(tmp_path: Path) -> None:
    path = tmp_path / "x"
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bomb.compress(bytes(200 << 20)) + bomb.flush(zlib.Z_SYNC_FLUSH)
    path.write_bytes(GZIP_HEADER + piece)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reread = Reread(path, Encoded(1, 1, 1, "a", compressed=True, blocks=(len(piece),)), Context())
    with pytest.raises(IntegrityError):
        list(reread.blocks())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_rereading_can_be_cancelled(tmp_path: Path) -> None:
    for level in (None, "fast"):
        context, path = Context(), tmp_path / "x"
        blocks = Reread(path, written(sample(30 * BLOCK_SIZE), level, path), context).blocks()
        next(blocks)
        context.cancel()
        with pytest.raises(CancelledError):
            list(blocks)


# Files that came from anywhere.


def read(path: Path, *, compressed: bool) -> tuple[bytes, FileReader]:
    reader = FileReader(path, compressed=compressed, context=Context())
    return b"".join(reader.blocks()), reader


@pytest.mark.parametrize("size", [0, 1, 4 << 20, (4 << 20) + 1, (9 << 20) - 3])
@pytest.mark.parametrize("kind", ["zeros", "text", "stored"])
def test_any_gzip_file_is_read(size: int, kind: str, tmp_path: Path) -> None:
    content = bytes(size) if kind == "zeros" else sample(size)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(content, 0 if kind == "stored" else 6))
    plain, reader = read(path, compressed=True)
    assert plain == content
    assert (reader.plain_size, reader.size) == (size, path.stat().st_size)
    assert reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert reader.plain_sha256 == hashlib.sha256(content).hexdigest()


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    content, path = sample(2 * BLOCK_SIZE + 1), tmp_path / "x"
    path.write_bytes(content)
    plain, reader = read(path, compressed=False)
    assert plain == content
    assert reader.sha256 == reader.plain_sha256 == hashlib.sha256(content).hexdigest()
    assert (reader.plain_size, reader.size) == (len(content), len(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:0], "x.gz ends in the middle of its compressed data."),
        (lambda raw: raw[:-1], "x.gz ends in the middle of its compressed data."),
        (lambda raw: raw[:100], "x.gz ends in the middle of its compressed data."),
        (lambda raw: raw + b"\x00", "x.gz goes on behind the end of its compressed data."),
        (lambda raw: raw + raw, "x.gz goes on behind the end of its compressed data."),
        (lambda raw: b"plain text, no gzip at all" + raw, "x.gz cannot be decompressed: it is damaged, or not gzip."),
        (lambda raw: raw[:-8] + bytes(4) + raw[-4:], "x.gz cannot be decompressed: it is damaged, or not gzip."),
        (lambda raw: raw[:-4] + bytes(4), "x.gz cannot be decompressed: it is damaged, or not gzip."),
    ],
)
def test_foreign_damage_is_named(change: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(change(gzip.compress(sample(3 * BLOCK_SIZE))))
    reader = FileReader(path, compressed=True, context=Context())
    with pytest.raises(IntegrityError) as caught:
        for _block in reader.blocks():
            pass
    assert caught.value.message == message
    reader.drain()
    assert reader.size == path.stat().st_size
    assert reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_something_behind_a_member_that_ends_with_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    filler = os.urandom(BLOCK_SIZE - 10 - 8 - 2 - 5)
    machine = zlib.compressobj(0, zlib.DEFLATED, 31, 9)
    raw = machine.compress(filler) + machine.flush()
    path.write_bytes(raw[:10] + bytes(0) + raw[10:] + b"x" * (2 * BLOCK_SIZE))
    with pytest.raises(IntegrityError, match="goes on behind"):
        read(path, compressed=True)


def test_a_bomb_is_met_block_by_block(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader = FileReader(path, compressed=True, context=Context())
    assert max(map(len, reader.blocks())) <= 4 << 20
    assert reader.plain_size == 200 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    path, context = tmp_path / "x", Context()
    path.write_bytes(sample(3 * BLOCK_SIZE))
    blocks = FileReader(path, compressed=False, context=context).blocks()
    next(blocks)
    context.cancel()
    with pytest.raises(CancelledError):
        next(blocks)


def test_what_was_written_has_a_short_repr() -> None:
    encoded = encode(sample(10 * BLOCK_SIZE), 1)[1]
    assert "blocks" not in repr(encoded)
    assert attrs.evolve(encoded, blocks=()) != encoded
