"""The state of a user's files: what differs counts whatever its age, and contents decide."""

import os
import shutil
import time

import pytest
from own_images import as_folder, as_zip, tree

from incbayes.study import source_state
from incbayes.study.source_state import (
    RECORD,
    SourceError,
    content_of,
    current_state,
    read_record,
    recorded,
    stamps_of,
)

OLD = (1.5e9, 1.5e9)


@pytest.fixture
def photos(tmp_path):
    return as_folder(tmp_path / "photos", dict.fromkeys(("a/1", "a/2", "b/c/1", "b/c/2"), b"x"))


def prepared(roots, folder, **counted):
    """Note what a preparation notes, and return the state that it was given."""
    folder.mkdir(exist_ok=True)
    state = current_state(roots, folder)
    with recorded({"source": state, **counted}, roots, folder):
        pass
    return state


def older(path):
    """Make everything below a path old, as `mv`, `cp -p` and `unzip` may do."""
    for below in (path, *path.rglob("*")):
        os.utime(below, OLD)


def replaced_by_older(photos):
    shutil.rmtree(photos)
    older(as_folder(photos, {name: b"y" for name in ("a/1", "a/2", "b/c/1", "b/c/2")}))


def replaced_in_place_with_the_same_stamp(photos):
    file = photos / "b/c/1"
    before = file.stat()
    file.write_bytes(b"y")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def added_deep_down(photos):
    (photos / "b/c/3").write_bytes(b"x")
    older(photos)


def removed(photos):
    (photos / "a/1").unlink()


def renamed(photos):
    (photos / "a/1").rename(photos / "a/0")


def swapped(photos):
    (photos / "a/1").write_bytes(b"z")
    (photos / "a/1").rename(photos / "0")
    (photos / "a/2").rename(photos / "a/1")
    (photos / "0").rename(photos / "a/2")


def an_empty_folder(photos):
    (photos / "d").mkdir()


@pytest.mark.parametrize(
    "change",
    [
        replaced_by_older,
        replaced_in_place_with_the_same_stamp,
        added_deep_down,
        removed,
        renamed,
        swapped,
        an_empty_folder,
    ],
)
def test_whatever_differs_is_another_state_however_old_it_is(change, photos, tmp_path):
    state = prepared([photos], tmp_path / "data")
    assert current_state([photos], tmp_path / "data") == state
    change(photos)
    assert current_state([photos], tmp_path / "data") != state


def copied(photos):
    shutil.copytree(photos, photos.with_name("copy"))
    shutil.rmtree(photos)
    photos.with_name("copy").rename(photos)


def aged(photos):
    older(photos)


def touched(photos):
    for path in photos.rglob("*"):
        path.touch()


def littered(photos):
    (photos / ".DS_Store").write_bytes(b"litter")
    (photos / "__MACOSX").mkdir()


@pytest.mark.parametrize("change", [copied, aged, touched, littered])
def test_the_same_content_is_the_same_state_and_is_compared_once(
    change, photos, tmp_path, monkeypatch
):
    state = prepared([photos], tmp_path / "data")
    change(photos)
    assert current_state([photos], tmp_path / "data") == state
    monkeypatch.setattr(source_state, "sha256_file", None)  # nothing is read again
    assert current_state([photos], tmp_path / "data") == state


def test_where_files_lie_does_not_count_and_their_order_does(tmp_path):
    one = [as_zip(tmp_path / place / "photos.zip", tree()) for place in ("a", "b")]
    assert content_of(one[:1]) == content_of(one[1:])
    two = as_folder(tmp_path, {"rows.csv": b"1", "other.csv": b"2"})
    files = [two / "rows.csv", two / "other.csv"]
    assert content_of(files) != content_of(files[::-1])


@pytest.mark.parametrize("gone", [0, 1])
def test_a_source_that_is_gone_leaves_what_was_prepared_as_it_is(gone, photos, tmp_path):
    roots = [photos, as_folder(tmp_path / "more", {"a": b"x"})]
    state = prepared(roots, tmp_path / "data", train=3, test=None)
    shutil.rmtree(roots[gone])
    assert current_state(roots, tmp_path / "data") == state
    assert read_record(tmp_path / "data").counted == {"train": 3, "test": None}
    assert current_state(roots, tmp_path / "never") == ""


@pytest.mark.parametrize("said", ["", "[]", '{"state": "x"}', '{"a": 1}'])
def test_without_a_record_stamps_alone_count(said, photos, tmp_path):
    prepared([photos], tmp_path / "data")
    (tmp_path / "data" / RECORD).write_text(said)
    assert current_state([photos], tmp_path / "data") == stamps_of([photos])


def test_what_changes_while_it_is_read_is_refused_and_leaves_no_record(photos, tmp_path):
    prepared([photos], tmp_path / "data")
    found = {"source": "state"}
    with recorded(found, [photos], tmp_path / "data"):
        older(photos)  # a time stamp alone
    with (
        pytest.raises(SourceError, match="photos: changed while it was read; once it is whole"),
        recorded(found, [photos], tmp_path / "data"),
    ):
        (photos / "a/1").write_bytes(b"half")
    assert read_record(tmp_path / "data") is None
    with recorded(None, [], tmp_path / "data"):
        pass
    assert read_record(tmp_path / "data") is None, "data that are no files of a user"


def test_links_that_lead_nowhere_and_devices_do_not_stop_it(photos, tmp_path):
    (photos / "a/link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(photos / "a/pipe")
    assert stamps_of([photos]) and content_of([photos])


def test_60_000_files_take_no_more_than_a_moment(tmp_path):
    for number in range(20):
        folder = tmp_path / "many" / f"c{number}"
        folder.mkdir(parents=True)
        for place in range(3000):
            os.close(os.open(folder / f"{place}.png", os.O_CREAT))
    started = time.process_time()
    stamps_of([tmp_path / "many"])
    assert time.process_time() - started < 2
