"""Images of one's own as a folder or an archive, and studies of them."""

import copy
import io
import tarfile
import zipfile

import numpy as np
from PIL import Image
from refusals import refusal
from running import TINY

from incbayes.data.image_folder import ImageFolder
from incbayes.data.raw import DataError
from incbayes.study.datasets import data_name
from incbayes.study.model import KindSpec

CLASSES = ["dog", "cat"]


SHAPE = [3, 4, 5]


STATED = {"shape": SHAPE, "classes": CLASSES, "train": 6, "test": 4}


SIZES = {"train": 3, "test": 2}
"""Images of each class."""


def image(number, form="PNG", mode="RGB", size=(5, 4)):
    """Return the bytes of an image file whose pixels follow from `number`; size: width, height."""
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], channels), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(), mode).save(buffer, form)
    return buffer.getvalue()


def tree():
    """Return the files of a good source, content by name."""
    names = [
        f"{split}/{name}/{number:02d}.png"
        for split, count in SIZES.items()
        for name in CLASSES
        for number in range(count)
    ]
    return {name: image(seed) for seed, name in enumerate(names)}


def as_folder(path, files):
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


def as_zip(path, files):
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def as_tar(path, files, *further):
    """Write an archive, compressed where its name says so; `further` are pairs for `addfile`."""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        plain = [(member(name, size=len(content)), content) for name, content in files.items()]
        for made, content in [*plain, *further]:
            archive.addfile(made, io.BytesIO(content))
    return path


def member(name, kind=tarfile.REGTYPE, size=0, link=""):
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


FORMS = {
    "photos": as_folder,
    "photos.zip": as_zip,
    "photos.tar": as_tar,
    "photos.tar.gz": as_tar,
    "photos.tgz": as_tar,
}


def load(path, **stated):
    return ImageFolder(source=path.name, **{**STATED, **stated}).load(path.parent)


def reason(path, **stated):
    """Return the line that a source is refused with, which names it."""
    text = refusal(lambda: load(path, **stated), DataError)
    assert str(path) in text and text.isprintable()
    return text


SPEC = {"kind": "image_folder", "source": "photos.tar.gz", **STATED}


def own_study(source):
    """Return the tiny study on a made source, and the checksums of its data set."""
    study = copy.deepcopy(TINY)
    spec = SPEC | {"source": source}
    study["experiments"]["digits"] |= {"dataset": spec}
    return study, f"results/data/{data_name(KindSpec.of(spec))}/checksums.json"
