"""The public API is compared with that of the last release; what breaks it fails here, by name.

``RECORD_API=1`` records what there is as released: whoever releases does that, and whoever breaks the API of a version
that is not released yet, with a line in the changelog. The rules are in ``docs/reference/plugin-contracts.md``.
"""

import os
import re
from pathlib import Path

import pytest

import tailrace

from .breaks import breaks
from .surface import MODULES, surface_of

ROOT = Path(__file__).resolve().parents[2]
RELEASED = Path(__file__).parent / "released"

STUB = '''"""Public names of made_up."""

class Pump:
    rate: float
    def __init__(self, rate: float, *, name: str = 'pump') -> None: ...
    def start(self, seconds: float = 1.0) -> bool: ...

class Sink(Protocol):
    def deliver(self, call: Call) -> Receipt: ...

class ByteWriter(Protocol):
    def write(self, data: Any) -> int: ...

def hook(event: Event) -> None: ...
'''


@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_the_last_release_is_broken(module: str) -> None:
    path = RELEASED / f"{module}.txt"
    now = surface_of(module)
    if os.environ.get("RECORD_API"):
        path.write_text(now)
    assert breaks(path.read_text(), now, module=module) == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_without_names(module: str) -> None:
    assert re.search(r"^(class|def) ", (RELEASED / f"{module}.txt").read_text(), re.MULTILINE)


def test_everything_public_is_in_the_surface() -> None:
    surface = surface_of("tailrace")
    names = set(re.findall(r"^(?:class |def )?(\w+)", surface, re.MULTILINE))
    assert set(tailrace.__all__) - {"__version__"} <= names


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def hook(event: Event) -> None: ...", "", "hook: public object was removed"),
        ("class Pump:", "class Engine:", "Pump: public object was removed"),
        ("    rate: float\n", "", "Pump.rate: public object was removed"),
        ("    rate: float\n", "    rate: int\n", "Pump.rate: its type was changed: float → int"),
        ("(self, rate: float, *,", "(self, *,", "Pump.__init__: parameter was removed: rate"),
        (
            "(self, rate: float, *,",
            "(self, rate: float, size: int, *,",
            "Pump.__init__: parameter was added as required: size",
        ),
        ("name: str = 'pump'", "name: str", "Pump.__init__: parameter is now required: name"),
        (
            "seconds: float = 1.0",
            "seconds: float = 2.0",
            "Pump.start: parameter default was changed: seconds: 1.0 → 2.0",
        ),
        ("(event: Event)", "(event: Event, user: User)", "hook: parameter was added as required: user"),
        (
            "    def deliver(self, call: Call) -> Receipt: ...",
            "    def deliver(self, call: Call) -> Receipt: ...\n    def check(self) -> None: ...",
            "Sink.check: those who implement this protocol do not have it",
        ),
    ],
)
def test_a_break_is_found(old: str, new: str, told: str) -> None:
    assert STUB.count(old) == 1
    assert told in "\n".join(breaks(STUB, STUB.replace(old, new), module="made_up"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def hook(", "def other() -> None: ...\n\ndef hook("),
        ("name: str = 'pump'", "name: str = 'pump', size: int = 1"),
        ("def start(", "def stop(self) -> None: ...\n    def start("),
        (
            "    def write(self, data: Any) -> int: ...",
            "    def write(self, data: Any) -> int: ...\n    def end(self): ...",
        ),
    ],
)
def test_what_is_added_for_callers_breaks_nothing(old: str, new: str) -> None:
    assert STUB.count(old) == 1
    assert breaks(STUB, STUB.replace(old, new), module="made_up") == []


def test_the_last_release_is_of_this_series() -> None:
    released = (RELEASED / "version.txt").read_text().strip()
    newest = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert released.split(".")[:2] == newest[1].split(".")[:2], (
        "record the API of the release that this series begins with"
    )
