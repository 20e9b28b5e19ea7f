"""The requests that carry files: a PUT of the file, or a form of notice and file; never the whole file in memory."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tailrace import Manifest
from tailrace_sink_webhook.exchange import Outgoing
from tailrace_sink_webhook.failures import CannotDeliverError

BLOCK = 256 * 1024
"""Bytes of a file that are read at a time."""

_PACKED = {"gzip": "application/gzip", "zip": "application/zip", "zstd": "application/zstd"}


def notice_request(notice: bytes, headers: Mapping[str, str]) -> Outgoing:
    """A POST of a notice alone.

    Args:
        notice: The notice.
        headers: Signature, and what else goes with each request.
    """
    own = {"Content-Type": "application/json", "Content-Length": str(len(notice))}
    return Outgoing("POST", {**headers, **own}, lambda: iter((notice,)))


def put_request(
    path: Path, manifest: Manifest, notice: bytes, headers: Mapping[str, str], *, offset: int = 0
) -> Outgoing:
    """A PUT of the file; the notice, which is what the signature is about, is a header.

    ``Repr-Digest`` is of the whole file, ``Content-Digest`` of what is sent (RFC 9530), so only a whole file has it.

    Args:
        path: Where the file lies.
        manifest: What it is.
        notice: The notice.
        headers: Signature, and what else goes with each request.
        offset: Bytes at the beginning that the receiver has already.
    """
    size = manifest.file.size
    own = {
        "Content-Type": media_type(manifest),
        "Content-Length": str(size - offset),
        "Repr-Digest": digest(manifest),
        "Tailrace-Notice": notice.decode(),
    }
    if offset:
        own["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
    else:
        own["Content-Digest"] = digest(manifest)
    return Outgoing("PUT", {**headers, **own}, blocks_of(path, size, offset))


def form_request(
    path: Path, manifest: Manifest, notice: bytes, headers: Mapping[str, str], *, identity: str
) -> Outgoing:
    """A POST of a form with the parts ``notice`` and ``file`` (RFC 7578).

    Args:
        path: Where the file lies.
        manifest: What it is.
        notice: The notice, which is what the signature is about.
        headers: Signature, and what else goes with each request.
        identity: Id of the message, from which the line between the parts is made: the same at every try.
    """
    boundary = hashlib.sha256(f"{identity} {manifest.file.sha256}".encode()).hexdigest()[:40]
    before = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="notice"\r\nContent-Type: application/json\r\n\r\n'
        ).encode()
        + notice
        + (
            f"\r\n--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{_quoted(manifest.file.name)}"\r\n'
            f"Content-Type: {media_type(manifest)}\r\n"
            f"Content-Digest: {digest(manifest)}\r\n\r\n"
        ).encode(errors="replace")
    )
    after = f"\r\n--{boundary}--\r\n".encode()
    own = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(before) + manifest.file.size + len(after)),
    }
    file = blocks_of(path, manifest.file.size)

    def body() -> Iterator[bytes]:
        yield before
        yield from file()
        yield after

    return Outgoing("POST", {**headers, **own}, body)


def blocks_of(path: Path, size: int, offset: int = 0) -> Callable[[], Iterator[bytes]]:
    """What gives a file's bytes, block by block.

    Args:
        path: Where it lies.
        size: Bytes that it has by its manifest.
        offset: Bytes at its beginning that are left out.

    Returns:
        A function that begins anew each time. It raises CannotDeliverError where the file has another size by now, and
        OSError where it cannot be read.
    """

    def blocks() -> Iterator[bytes]:
        left = size - offset
        with path.open("rb") as file:
            file.seek(offset)
            while block := file.read(BLOCK):
                left -= len(block)
                if left < 0:
                    break
                yield block
        if left:
            raise CannotDeliverError("The file changed while it was sent.", hint="Export again.")

    return blocks


def media_type(manifest: Manifest) -> str:
    """Media type of the bytes on disk: of the packing where they are packed, so that nobody unpacks them unasked."""
    compression = manifest.file.compression
    if compression is None:
        return manifest.file.media_type
    return _PACKED.get(compression.method, "application/octet-stream")


def digest(manifest: Manifest) -> str:
    """The file's SHA-256 as a field of RFC 9530 has it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(manifest.file.sha256)).decode()}:"


def _quoted(name: str) -> str:
    # https://html.spec.whatwg.org/#multipart-form-data
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
