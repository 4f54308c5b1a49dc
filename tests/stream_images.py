"""Streams of made images, small enough to be fitted in seconds."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ["dark", "light"]
SHAPE = [1, 4, 4]
STATED = {"kind": "image_stream", "source": "photos", "shape": SHAPE, "classes": CLASSES}


def picture(seed, label):
    """Return the bytes of a grey image that is dark or light, and noisy."""
    noise = np.random.default_rng(seed).integers(0, 120, SHAPE[1:], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise + np.uint8(130 * label)).save(buffer, "PNG")
    return buffer.getvalue()


def images(seed, number=20):
    """Return the files of a part, content by name."""
    return {f"{CLASSES[i % 2]}/{i:03d}.png": picture(1000 * seed + i, i % 2) for i in range(number)}


def put(folder, files):
    """Write files, content by name, into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def put_zip(path, files):
    """Write files, content by name, into a zip archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def stream(root: Path, parts: int = 3, test: bool = True) -> Path:
    """Write a stream with parts `p1`, `p2`, … below a folder, and return its folder."""
    photos = root / "photos"
    for number in range(1, parts + 1):
        arrive(root, number)
    if test:
        put(photos / "test", images(99))
    return photos


def arrive(root: Path, number: int, name: str | None = None) -> None:
    """Let a part arrive; every third one is an archive."""
    place = root / "photos" / "parts" / (name or f"p{number}")
    if number % 3 == 0:
        put_zip(place.with_name(f"{place.name}.zip"), images(number))
    else:
        put(place, images(number))


def forget(root: Path, number: int) -> None:
    """Delete what arrived and what was prepared of a part."""
    for place in [
        *(root / "photos" / "parts").glob(f"p{number}*"),
        *(root / "results" / "data").glob(f"photos_*/parts/p{number}"),
    ]:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
