"""Taking an Arrow stream batch by batch: the C stream interface, in the words of ctypes.

polars reads a stream as a whole, or ahead of its consumer in a thread of its own, which cannot be waited for when the
database has to be closed. Here a batch is read when it is asked for, and other threads run meanwhile.

See https://arrow.apache.org/docs/format/CStreamInterface.html: the layout is fixed for good.
"""

import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import polars as pl
    from adbc_driver_manager import ArrowArrayStreamHandle


class _Array(ctypes.Structure):
    """``struct ArrowArray``."""

    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.c_void_p),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


class _Stream(ctypes.Structure):
    """``struct ArrowArrayStream``."""


_Stream._fields_ = [
    ("get_schema", ctypes.c_void_p),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(_Stream))),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class StreamError(Exception):
    """The stream failed, in the words of the driver."""


@attrs.frozen
class _Batch:
    """One batch for whoever understands Arrow's capsules; they move it out of ``array``."""

    stream: "ArrowArrayStreamHandle"
    array: _Array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        return self.stream.__arrow_c_schema__(), _new_capsule(ctypes.addressof(self.array), b"arrow_array", None)


def batches(stream: "ArrowArrayStreamHandle") -> "Iterator[pl.DataFrame]":
    """Yield the batches of a stream, each read when it is asked for.

    Raises:
        StreamError: The driver failed to read one.
    """
    import polars as pl

    source = _Stream.from_address(stream.address)
    while True:
        array = _Array()
        if source.get_next(source, array):
            said: bytes | None = source.get_last_error(source)
            raise StreamError((said or b"").decode(errors="replace"))
        if not array.release:
            return
        # Whatever becomes of it, polars takes the array and releases it.
        yield pl.DataFrame(_Batch(stream, array))
