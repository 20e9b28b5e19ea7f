"""Going on with an upload that was cut off.

The protocol is that of Google Cloud Storage, without its session URLs: a PUT without a body and with ``Content-Range:
bytes */TOTAL`` asks how much is there; ``308`` with ``Range: bytes=0-LAST`` says so, without ``Range`` it is nothing;
the rest goes as ``Content-Range: bytes FIRST-LAST/TOTAL``.
https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check
"""

import re
from collections.abc import Mapping

from tailrace import Manifest
from tailrace_sink_webhook.answers import Answer
from tailrace_sink_webhook.exchange import Outgoing
from tailrace_sink_webhook.uploads import digest

INCOMPLETE = 308
"""The status that says how much is there. It is no redirection here: those have a ``Location``."""

_RANGE = re.compile(r"bytes=0-([0-9]{1,19})")
_SUCCESS = range(200, 300)


def status_request(manifest: Manifest, notice: bytes, headers: Mapping[str, str]) -> Outgoing:
    """Asks how much of a file the receiver has.

    Args:
        manifest: What the file is.
        notice: The notice, which is what the signature is about.
        headers: Signature, and what else goes with each request.
    """
    own = {
        "Content-Length": "0",
        "Content-Range": f"bytes */{manifest.file.size}",
        "Repr-Digest": digest(manifest),
        "Tailrace-Notice": notice.decode(),
    }
    return Outgoing("PUT", {**headers, **own}, lambda: iter(()))


def is_incomplete(answer: Answer) -> bool:
    """Whether an answer says that a part is still missing."""
    return answer.status == INCOMPLETE and "location" not in answer.headers


def bytes_there(answer: Answer, size: int) -> int:
    """Bytes at the beginning of a file that the receiver has.

    A success counts only with a ``Range``: a receiver that knows nothing of this would answer so to an empty file.

    Args:
        answer: Its answer to :func:`status_request`.
        size: Bytes of the file.

    Returns:
        0 to ``size``; ``size`` when it has taken the whole file.
    """
    found = _RANGE.fullmatch(answer.headers.get("range", "").strip())
    there = int(found[1]) + 1 if found else 0
    if answer.status in _SUCCESS:
        return size if there == size else 0
    return there if is_incomplete(answer) and there < size else 0
