"""Files appear whole or not at all, also when the writer is killed."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from incbayes.core.files import (
    FOREIGN_PARTIAL_SECONDS,
    atomic_write,
    remove_stale_partials,
    sha256_file,
    write_json,
)

LIBRARY = Path(__file__).parents[2] / "workflow"
SIZE = 1 << 22
WRITER = f"""
import itertools, sys, time
from incbayes.core.files import atomic_write
for round in itertools.count():
    with atomic_write(sys.argv[1]) as partial, partial.open("wb", buffering=0) as file:
        letter = (b"A", b"B")[round % 2]
        for piece in range(64):
            file.write(letter * {SIZE // 64})
            if round == int(sys.argv[2]) and piece == 31:
                print("half", flush=True)
                time.sleep(60)
    print("whole", flush=True)
"""


def start_writer(path, stall_round=-1):
    """Start a process that writes `path` again and again, stopping halfway in one round."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(stall_round)],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill(process):
    """Kill -9 and reap."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def assert_whole(path):
    """Fail unless the file is one of the two that the writer writes."""
    content = path.read_bytes()
    assert content in (b"A" * SIZE, b"B" * SIZE), f"half file of {len(content)} bytes"


def test_the_file_appears_with_its_content_and_nothing_else(tmp_path):
    path = tmp_path / "new folder" / "x.bin"
    with atomic_write(path) as partial:
        assert partial.parent == path.parent
        assert partial.name.startswith(".") and partial.name.endswith(".partial")
        partial.write_bytes(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path):
    with atomic_write(tmp_path / "x") as first, atomic_write(tmp_path / "x") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "x").read_text() == "first"  # the last to end wins, whole


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_no_partial(tmp_path, error):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as partial:
        partial.write_bytes(b"half of the n")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_nothing_is_an_error_that_names_the_file(tmp_path):
    error = pytest.raises(FileNotFoundError, match="x.bin: nothing was written")
    with error, atomic_write(tmp_path / "x.bin"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.011])
def test_kill_9_in_a_writing_loop_leaves_a_whole_file(tmp_path, delay):
    path = tmp_path / "x.bin"
    writer = start_writer(path)
    assert writer.stdout.readline() == "whole\n"
    for _ in range(20):  # a reader never sees a half file either
        assert_whole(path)
    time.sleep(delay)
    kill(writer)
    assert_whole(path)
    remove_stale_partials(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_kill_9_halfway_keeps_the_old_file_and_its_partial_is_stale(tmp_path):
    path = tmp_path / "x.bin"
    writer = start_writer(path, stall_round=1)
    assert [writer.stdout.readline() for _ in range(2)] == ["whole\n", "half\n"]
    (partial,) = tmp_path.glob(".*.partial")
    assert remove_stale_partials(tmp_path) == []  # its writer lives
    kill(writer)
    assert path.read_bytes() == b"A" * SIZE
    assert partial.stat().st_size == SIZE // 2
    assert remove_stale_partials(tmp_path) == [partial]
    assert list(tmp_path.iterdir()) == [path]


def test_writing_a_file_again_removes_what_its_killed_writer_left_and_nothing_else(tmp_path):
    path = tmp_path / "x.bin"
    writer = start_writer(path, stall_round=1)
    assert [writer.stdout.readline() for _ in range(2)] == ["whole\n", "half\n"]
    kill(writer)
    (partial,) = tmp_path.glob(".*.partial")
    other = partial.rename(tmp_path / partial.name.replace("x.bin", "y.bin"))
    shutil.copy(other, partial)
    write_json(path, 1)
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_only_abandoned_partials_are_removed(tmp_path):
    elsewhere = tmp_path / ".x.bin.00000000-1-0123abcd.partial"
    not_ours = tmp_path / ".x.partial"
    for path in (elsewhere, not_ours):
        path.write_bytes(b"")
    with atomic_write(tmp_path / "x.bin") as partial:
        partial.write_bytes(b"content")
        assert remove_stale_partials(tmp_path) == []
    long_ago = time.time() - FOREIGN_PARTIAL_SECONDS - 1
    os.utime(elsewhere, (long_ago, long_ago))
    assert remove_stale_partials(tmp_path) == [elsewhere]
    assert not_ours.exists()
    assert remove_stale_partials(tmp_path / "no such folder") == []


def test_json_is_the_same_for_equal_objects(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 0.1], "a": "σ²"})
    write_json(tmp_path / "b.json", {"a": "σ²", "b": [1, 0.1]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.json").read_text(encoding="utf-8")
    assert text.endswith("}\n") and "σ²" in text
    assert json.loads(text) == {"a": "σ²", "b": [1, 0.1]}


@pytest.mark.parametrize(
    ("value", "error"), [(float("nan"), ValueError), (float("inf"), ValueError), ({1}, TypeError)]
)
def test_json_rejects_what_it_cannot_express_and_keeps_the_old_file(tmp_path, value, error):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(error, match="a.json: cannot be written as JSON"):
        write_json(path, {"x": value})
    assert path.read_text() == "1\n"


def test_sha256_is_that_of_the_bytes(tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "x").write_bytes(content)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()
