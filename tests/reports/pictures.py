"""Pages as pictures, and how far two pictures are from each other."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLOCK = 24
Pixels = NDArray[np.float64]


@attrs.frozen
class Difference:
    """How far two pictures are from each other, of 255.

    Args:
        mean: Of all pixels.
        worst: Of the squares that differ most, 24 pixels wide.
    """

    mean: float
    worst: float


def rendered(document: Path, folder: Path, *, dots: int, first: int = 1, last: int | None = None) -> list[Path]:
    """The pages of a PDF as PNG files.

    Args:
        document: The PDF.
        folder: Where the pictures go.
        dots: Pixels of an inch.
        first: First page.
        last: Last page; None for all.
    """
    until = [] if last is None else ["-l", f"{last}"]
    command = ["pdftoppm", "-r", f"{dots}", "-f", f"{first}", *until, "-png", str(document), str(folder / "page")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not done.stderr
    return sorted(folder.glob("page-*.png"))


def pixels(path: Path) -> Pixels:
    """A picture as rows of pixels of three colours."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=float)


def keep(picture: Path, kept: Path) -> None:
    """Keep a picture, as small as it gets: pages have few colours."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(picture) as page:
        page.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(kept, optimize=True)


def difference(one: Pixels, other: Pixels) -> Difference:
    """How far two pictures are from each other; as far as can be, if they are of different sizes."""
    if one.shape != other.shape:
        return Difference(255.0, 255.0)
    apart = np.abs(one - other).mean(axis=2)
    down, across = (-(-length // BLOCK) * BLOCK for length in apart.shape)
    filled = np.zeros((down, across))
    filled[: apart.shape[0], : apart.shape[1]] = apart
    blocks = filled.reshape(down // BLOCK, BLOCK, across // BLOCK, BLOCK).mean(axis=(1, 3))
    return Difference(float(apart.mean()), float(blocks.max()))


def names(kept: Path, count: int) -> Sequence[Path]:
    """Where the pictures of so many pages are kept."""
    return [kept.with_name(f"{kept.name}-{number}.png") for number in range(1, count + 1)]
