"""What is in two parts of a chain, or in a part and in the test images: found, refused, counted."""

import shutil

import numpy as np
import pytest
from fault_table import survived
from refusals import refusal as refused
from stream_images import STATED, images, put

from incbayes.core.seal import SealError, write_seal
from incbayes.data.duplicates import content_digests
from incbayes.data.prepared import open_split
from incbayes.data.seen import read_seen, seen_path
from incbayes.jobs.part_data import prepare_part
from incbayes.jobs.repeats import RepeatError, check_repeats

ROWS = {"kind": "table_stream", "source": "rents", "target": "y", "features": ["a"]}


class Stream:
    """A stream, whose parts are prepared and stages sealed as they are fitted, in a folder."""

    def __init__(self, folder, **changes):
        self.folder, self.spec, self.names = folder, {**STATED, **changes}, []

    def prepare(self, name, files):
        """Prepare a part, or the test images, of files by name."""
        place = self.folder / self.spec["source"]
        put(place / ("parts" if name else "") / (name or "test"), files)
        self.lines = []
        folder = self.prepared(name)
        prepare_part(self.spec, self.folder, name, folder, self.lines.append)

    def prepared(self, name):
        return self.folder / "data" / ("parts" if name else "") / (name or "test")

    def stage(self, t):
        return self.folder / "chain" / f"t{t:02d}"

    def fit(self, name, duplicates="refuse"):
        """Compare the part of the next stage, as a job does, and return what the log says."""
        said, t = [], len(self.names) + 1
        check_repeats(self.prepared(name), self.stage(t), t, duplicates, said.append)
        self.names.append(name)
        identity = {"part": name, "t": t}
        write_seal(self.stage(t) / "posterior.seal.json", "posterior", identity)
        return said

    def forget(self, name):
        shutil.rmtree(self.prepared(name))
        shutil.rmtree(self.folder / self.spec["source"] / "parts" / name)

    def refusal(self, name):
        return refused(lambda: self.fit(name), error=RepeatError)


@pytest.fixture
def photos(tmp_path):
    """A stream with one part, of 20 images, fitted."""
    stream = Stream(tmp_path)
    stream.prepare("p1", images(1))
    assert stream.fit("p1") == []
    return stream


def cumulative(number=20):
    """Return the files of a part with so many images of part 1 and one of its own."""
    old = {f"{name}": content for name, content in list(images(1).items())[:number]}
    return old | {"dark/own.png": images(7)["dark/000.png"]}


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_a_delivery_with_all_that_came_before_is_refused_also_where_that_is_gone(photos, gone):
    if gone:
        photos.forget("p1")
    photos.prepare("p2", images(2))
    assert photos.fit("p2") == []
    photos.prepare("p3", cumulative())
    line = photos.refusal("p3")
    assert "20 of 21 images of the part 'p3' are in the part 'p1', too, pixel by pixel" in line
    assert "key without" in line and "duplicates to allow" in line
    (said,) = photos.fit("p3", "allow")
    assert said.startswith("20 of 21 images of the part 'p3'") and said.endswith("allow)")


def test_one_image_under_another_name_and_in_another_class_is_found(photos):
    photos.prepare("p2", images(2) | {"light/x.png": images(1)["dark/004.png"]})
    assert "1 of 21 images of the part 'p2' are in the part 'p1'" in photos.refusal("p2")


def test_test_images_that_are_in_a_part_are_refused_before_it_is_fitted(photos):
    photos.prepare(None, images(2, 4) | images(9, 2))
    photos.prepare("p2", images(2))
    line = photos.refusal("p2")
    assert "2 of 4 images of the folder test are in the part 'p2'" in line
    assert "a test on what was fitted says too much" in line


def test_test_images_that_came_later_are_compared_with_all_earlier_parts(photos):
    photos.prepare("p2", images(2))
    photos.fit("p2")
    photos.forget("p1")
    photos.prepare(None, images(1))
    said = []
    with pytest.raises(RepeatError, match="20 of 20 images of the folder test are in the part 'p1"):
        check_repeats(photos.prepared("p2"), photos.stage(2), 2, "refuse", said.append)


def test_a_part_that_was_taken_back_does_not_count(photos):
    photos.names = []  # as the chain goes on from before it
    photos.prepare("p2", cumulative())
    assert photos.fit("p2") == []


def test_parts_that_an_earlier_version_prepared_are_compared_as_long_as_they_are_there(photos):
    seen = seen_path(photos.prepared("p1"))
    known = read_seen(photos.prepared("p1")).digests
    shutil.rmtree(seen.parent)
    assert np.array_equal(read_seen(photos.prepared("p1")).digests, known)
    photos.prepare("p2", cumulative(3))
    assert "3 of 4 images" in photos.refusal("p2")
    photos.forget("p1")
    assert read_seen(photos.prepared("p1")) is None
    (said,) = photos.fit("p2")
    assert said == "the part 'p1' is gone and left no digests: repeats of it cannot be found"
    survived("digests of an earlier part are absent", 1, "its files are read, or a line in the log")


def test_digests_that_were_edited_are_refused(photos):
    path = seen_path(photos.prepared("p1"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    photos.prepare("p2", images(2))
    assert "damaged or edited" in refused(lambda: photos.fit("p2"), error=SealError)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.05])
def test_equal_images_of_a_part_are_held_out_together(tmp_path, share):
    stream = Stream(tmp_path, held_out=share)
    copies = {name.replace(".png", "_copy.png"): data for name, data in images(1).items()}
    stream.prepare("p1", images(1) | copies)
    splits = [open_split(stream.prepared("p1") / f"{of}.safetensors") for of in ("train", "test")]
    fitted, held = (
        {tuple(d) for d in content_digests(s.images.numpy(), s.labels.numpy()).tolist()}
        for s in splits
    )
    assert not fitted & held and len(fitted) + len(held) == 20
    assert len(splits[1].labels) == round(40 * share)
    assert "images that repeat another one of the part: 20" in stream.lines
    assert stream.fit("p1") == []


def rows(*values):
    return {"rows.csv": ("a,y\n" + "".join(f"{a},{y}\n" for a, y in values)).encode()}


def test_rows_count_with_their_target_and_equal_ones_within_a_part_are_no_repeats(tmp_path):
    stream = Stream(tmp_path, **ROWS)
    stream.spec = ROWS
    stream.prepare("p1", rows((0, 1), (0, 1), (2, 3.5)))
    assert stream.fit("p1") == [] and "rows that repeat another one of the part: 1" in stream.lines
    stream.prepare("p2", rows((0, 2), (5, 3.5)))
    assert stream.fit("p2") == []
    stream.prepare("p3", rows(("-0.0", 1), (6, 1)))
    line = stream.refusal("p3")
    assert "1 of 2 rows of the part 'p3' are in the part 'p1', too, value by value" in line
    assert "where equal rows are different cases" in line
    assert len(stream.fit("p3", "allow")) == 1
