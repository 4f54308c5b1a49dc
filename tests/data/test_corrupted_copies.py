"""Corrupted copies of test images: prepared from either layout, and faults of the files."""

import itertools

import numpy as np
import pytest
from corrupted_files import STRENGTHS, darker, paths_of, write_copies
from fault_table import survived

from incbayes.core.errors import UserError
from incbayes.core.files import sha256_file
from incbayes.core.seal import SealError
from incbayes.data.corrupted import CorruptedFiles, CorruptedImages, prepare_corrupted
from incbayes.data.prepared import prepare, read_images_seal
from incbayes.report.provenance import images_of
from incbayes.study.corrupted import corruption_files, strengths_of
from incbayes.study.model import KindSpec

NAMES = ["fog", "snow"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The folder of the prepared digits."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    prepare({"kind": "digits"}, folder, folder)
    return folder


def prepared(kind, raw, digits, folder):
    shift = KindSpec(kind, {"names": NAMES})
    files = CorruptedFiles(corruption_files(shift, raw), strengths_of(shift))
    return prepare_corrupted(files, digits, folder)


@pytest.mark.parametrize("kind", STRENGTHS)
def test_prepared_copies_are_those_of_the_files_at_every_strength(kind, digits, tmp_path):
    raw = write_copies(kind, tmp_path / "raw", NAMES)
    seal = prepared(kind, raw, digits, tmp_path / "copies")
    opened = CorruptedImages.open(tmp_path / "copies", read_images_seal(digits / "checksums.json"))
    assert opened.corruptions == NAMES and opened.seal == seal
    index = np.array([5, 0, 301])
    for place, name in enumerate(NAMES):
        for strength in range(1, STRENGTHS[kind] + 1):
            found = opened.at(name, strength, index).permute(0, 2, 3, 1).numpy()
            assert (found == darker(place, strength)[index]).all()
    assert isinstance(opened.copies, np.memmap)


def test_the_same_files_give_the_same_bytes_and_others_do_not(digits, tmp_path):
    raw = write_copies("cifar_c", tmp_path / "raw", NAMES)
    first, again = (prepared("cifar_c", raw, digits, tmp_path / of / "copies") for of in "ab")
    assert first.files == again.files
    images = np.load(raw / "fog.npy")
    images[-1, 0, 0] ^= 1
    np.save(raw / "fog.npy", images)
    assert prepared("cifar_c", raw, digits, tmp_path / "c").files != first.files


def test_what_is_published_has_the_checksum_of_the_copies(digits, tmp_path):
    raw = write_copies("cifar_c", tmp_path / "raw", NAMES)
    seal = prepared("cifar_c", raw, digits, tmp_path / "copies")
    assert images_of(seal.path) == {"test": sha256_file(tmp_path / "copies/test.npy")}


def test_labels_of_bytes_are_labels_too(digits, tmp_path):
    raw = write_copies("cifar_c", tmp_path / "raw", NAMES)
    np.save(raw / "labels.npy", np.load(raw / "labels.npy").astype(np.uint8))
    prepared("cifar_c", raw, digits, tmp_path / "copies")


def labels_of(change):
    """Return a fault: the labels of the last corruption changed."""

    def fault(images, labels):
        np.save(labels, change(np.load(labels)))

    return fault


def pixels_of(change):
    """Return a fault: the images of the last corruption changed."""

    def fault(images, labels):
        np.save(images, change(np.load(images)), allow_pickle=True)

    return fault


def one_other(labels):
    labels[-1] = (labels[-1] + 1) % 10
    return labels


def cut_short(images, labels):
    images.write_bytes(images.read_bytes()[:-1])


FAULTS = {
    "missing": (lambda images, labels: images.unlink(), "no such file"),
    "missing labels": (lambda images, labels: labels.unlink(), "no such file"),
    "truncated": (cut_short, "not a whole .npy file of numbers"),
    "objects": (pixels_of(lambda x: x.astype(object)), "not a whole .npy file of numbers"),
    "fractions": (pixels_of(lambda x: x / 255), "holds float64"),
    "channels first": (pixels_of(lambda x: x.transpose(0, 3, 1, 2)), "holds uint8 ["),
    "without channels": (pixels_of(lambda x: x[..., 0]), "holds uint8 ["),
    "an image less": (pixels_of(lambda x: x[:-1]), "360 test images of digits"),
    "a strength too much": (pixels_of(lambda x: np.concatenate([x, x[:360]])), "360 test images"),
    "a label less": (labels_of(lambda y: y[:-1]), "expected whole numbers"),
    "labels of fractions": (labels_of(lambda y: y / 1.0), "expected whole numbers"),
    "one other label": (labels_of(one_other), "1 of "),
    "labels in another order": (labels_of(np.sort), "in their order, at first number"),
    "labels from one": (labels_of(lambda y: y + 1), "are not those of the test images of digits"),
}


def test_files_that_are_no_copies_of_the_test_images_are_refused(digits, tmp_path):
    places = list(itertools.product(STRENGTHS, FAULTS))
    for place, (kind, name) in enumerate(places):
        fault, said = FAULTS[name]
        raw = write_copies(kind, tmp_path / f"raw{place}", NAMES)
        fault(*paths_of(kind, raw, NAMES[-1]))
        folder = tmp_path / f"copies{place}"
        with pytest.raises(UserError) as caught:
            prepared(kind, raw, digits, folder)
        text = str(caught.value)
        assert said in text and str(raw) in text and len(text.splitlines()) == 1, (kind, name)
        assert not folder.exists(), "nothing is left"
    survived(
        "files of corrupted copies of test images: missing, truncated, pickled, of another type or "
        "shape, too few or too many, with other labels or in another order",
        len(places),
        "one line that names the file, and nothing is prepared",
    )


def test_copies_of_other_test_images_are_not_opened(digits, tmp_path):
    raw = write_copies("mnist_c", tmp_path / "raw", NAMES)
    prepared("mnist_c", raw, digits, tmp_path / "copies")
    other = prepare({"kind": "breast_cancer"}, tmp_path, tmp_path / "breast_cancer")
    assert other
    seal = read_images_seal(tmp_path / "breast_cancer" / "checksums.json")
    with pytest.raises(SealError, match="was made from another images"):
        CorruptedImages.open(tmp_path / "copies", seal)


def test_damaged_copies_are_not_opened(digits, tmp_path):
    raw = write_copies("mnist_c", tmp_path / "raw", NAMES)
    prepared("mnist_c", raw, digits, tmp_path / "copies")
    path = tmp_path / "copies/test.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SealError, match="damaged or edited"):
        CorruptedImages.open(tmp_path / "copies", read_images_seal(digits / "checksums.json"))
