"""Data that are absent, damaged, hostile or too few: each in one line, and nothing outside."""

import io
import os
import tarfile
import urllib.error
import urllib.request
from functools import partial

import numpy as np
import pytest
import torch
import torchvision.datasets
from fault_table import survived
from raw_data import CONSTRAINTS, raw_splits
from refusals import refusal as refused
from tiny_chain import SETTINGS, cut_parts, tiny_chain

from incbayes.core.streams import torch_stream
from incbayes.data.part import Part
from incbayes.data.prepared import prepare, validate
from incbayes.data.raw import DataError
from incbayes.evaluation.variance_search import validation_cut
from incbayes.jobs.console import job
from incbayes.kinds import DATASETS
from incbayes.posterior.file import read_posterior

refusal = partial(refused, error=DataError)


@pytest.fixture
def offline(monkeypatch):
    """Make every attempt to use the network fail at once."""

    def refuse(*_, **__):
        raise urllib.error.URLError("network is off")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def member(name, content=b"x", kind=tarfile.REGTYPE, link=""):
    """Return a member of a tar archive."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, len(content)
    return made, io.BytesIO(content)


def archive(*members):
    """Return a compressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for made, content in members:
            file.addfile(made, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_hostile_archive_is_not_even_opened(name, tmp_path, offline):
    hostile = {
        "a member above the folder": archive(member("../outside")),
        "an absolute member": archive(member(str(tmp_path / "outside"))),
        "a link that leads outside": archive(
            member("link", b"", tarfile.SYMTYPE, str(tmp_path)), member("link/outside")
        ),
        "a bomb": archive(member("bomb", bytes(50 << 20))),
        "half an archive": archive(member("x", os.urandom(1000)))[:500],
        "no archive": b"<html>404</html>",
    }
    cls = DATASETS[name]
    file = getattr(torchvision.datasets, cls.dataset).filename
    for number, content in enumerate(hostile.values()):
        root = tmp_path / f"root{number}"
        root.mkdir()
        (root / file).write_bytes(content)
        text = refusal(lambda root=root: cls().load(root))
        assert f"data set {name}: {root / cls.folder} lacks" in text
        assert sorted(path.name for path in root.rglob("*")) == [file]
    assert not (tmp_path / "outside").exists()
    if name == "cifar10":
        survived(
            "an archive with `../`, absolute or linked members, a bomb, a truncated one",
            len(hostile),
            "one line; its checksum is wrong, so nothing of it is extracted",
        )


def test_data_that_are_not_as_declared_are_refused():
    images, labels = raw_splits().train_images, raw_splits().train_labels
    ragged = np.empty(4, dtype=object)
    ragged[:] = [images[0], images[1][:, :2], images[2], images[3]]
    wrong = {
        "an empty class": ({"train_labels": labels * 0}, "classes [1] have no training image"),
        "a label out of range": ({"train_labels": labels + 1}, "labels run from 1 to 2"),
        "a negative label": ({"test_labels": np.array([0, -1])}, "labels run from -1 to 0"),
        "images of another size": ({"train_images": images[..., :2]}, "expected uint8 [4, 2, 3"),
        "one image of another size": ({"train_images": ragged}, "train images are object [4]"),
        "one image too few": ({"train_images": images[:3]}, "train images are uint8 [3, 2, 3"),
        "one label too few": ({"train_labels": labels[:3]}, "train labels are int64 [3], ex"),
        "no image": ({"train_images": images[:0]}, "train images are uint8 [0, 2, 3, 3], ex"),
        "NaN": ({"train_images": images * np.float32("nan")}, "train images are float32 [4"),
        "labels that are text": ({"train_labels": labels.astype(str)}, "train labels are <U"),
    }
    for changes, expected in wrong.values():
        assert expected in refusal(
            lambda changes=changes: validate(raw_splits(**changes), CONSTRAINTS, "letters")
        )
    survived(
        "data with an empty class, a label out of range, an image of another size, NaN …",
        len(wrong),
        "one line that says what was found and what is declared",
    )


def test_a_part_smaller_than_a_minibatch_is_one_minibatch(tmp_path):
    chain = tiny_chain(tmp_path, parts=300)
    chain.fit(1)
    assert read_posterior(chain.posterior(1)).metadata["images"] == {"0": 5}
    lines = chain.outputs(1).training.read_text().splitlines()
    assert len(lines) == 1 + SETTINGS.training.epochs
    survived("a part of five images, smaller than a minibatch", 1, "it is fitted, as one minibatch")


def test_a_part_too_small_for_a_grid_is_refused():
    part = Part(*(tensor[:1] for tensor in two_images()))
    text = refusal(lambda: validation_cut(part, 0.1, torch_stream(0, "x")))
    assert "the first part has 1 image, too few" in text


def two_images():
    return torch.zeros(2, 1, 2, 2), torch.zeros(2, dtype=torch.int64)


def test_more_parts_than_images_are_refused(tmp_path):
    chain = tiny_chain(tmp_path)
    assert "1438 parts of 1437 images" in refusal(lambda: cut_parts(chain.data, 1438))


def test_a_data_set_that_is_absent_ends_its_job_in_one_line(tmp_path, offline, capsys):
    root, prepared, log = (tmp_path / name for name in ("nothing here", "prepared", "log"))
    with pytest.raises(SystemExit) as end, job("data mnist", log):
        prepare({"kind": "mnist"}, root, prepared)
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 1
    assert line.startswith(f"data mnist: data set mnist: {root / 'MNIST/raw'} lacks ")
    assert "set the key data_root" in line and line.split(": ", 1)[1] in log.read_text()
    assert not root.exists() and not prepared.exists()
    survived("a data set that is absent, without a network", 1, "one line with where to put what")


def test_nothing_of_a_preparation_that_fails_is_left(tmp_path, monkeypatch):
    class Broken(DATASETS["digits"]):
        def load(self, data_root):
            raw = super().load(data_root)
            return type(raw)(raw.train_images, raw.train_labels + 1, *list(vars(raw).values())[2:])

    monkeypatch.setattr(type(DATASETS), "build", lambda self, spec: Broken())
    assert "labels run from 1 to 10" in refusal(
        lambda: prepare({"kind": "digits"}, tmp_path, tmp_path)
    )
    assert not list(tmp_path.iterdir())
