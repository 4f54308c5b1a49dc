"""What befalls a stage's files and disk: one line that says so, the parent as it was."""

import errno
import os
import pickle
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fault_table import MODULES, WRITING, file_of, rows, survived
from refusals import refusal
from safetensors.torch import save_file
from tiny_chain import SETTINGS, Chain, cut_parts

from incbayes.core.files import FileError
from incbayes.core.seal import SealError, seal_path, write_seal
from incbayes.data import images as images_module
from incbayes.data.prepared import PreparedSplit, open_split
from incbayes.inference.listener import Silent
from incbayes.jobs.console import job
from incbayes.jobs.request import VARIANCE
from incbayes.jobs.sources import SourceFiles
from incbayes.posterior.file import METADATA_KEY, PosteriorError, read_posterior
from incbayes.study.model import KindSpec

ROOT = Path(__file__).parents[2]


# Files.


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def damages(path, fitted, trace):
    """Return what may befall a posterior, by name: new content, and what the error says."""
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    newer = content.replace(b'format_version\\": 2', b'format_version\\": 9')
    assert newer != content
    torch.save(Bomb(trace), path.with_name("torch"))
    for name, metadata in {"json": "{", "list": "[]", "number": "3"}.items():
        save_file({"x": torch.zeros(2)}, path.with_name(name), {METADATA_KEY: metadata})
    save_file({"x": torch.zeros(2)}, path.with_name("foreign"))
    made = {
        name: path.with_name(name).read_bytes()
        for name in ("torch", "json", "list", "number", "foreign")
    }
    return {
        "empty": (b"", "not a whole safetensors file"),
        "truncated in its header": (content[:40], "not a whole safetensors file"),
        "truncated in its tensors": (content[:-1], "not a whole safetensors file"),
        "longer than it says": (content + b"x", "not a whole safetensors file"),
        "one bit flipped": (flipped, "does not match its own checksum"),
        "of a newer format": (newer, "format version 9"),
        "of another stage": (fitted.posterior(2).read_bytes(), "t is 2, expected 1"),
        "a pickle": (pickle.dumps(Bomb(trace)), "not a whole safetensors file"),
        "a file of torch.save": (made["torch"], "not a whole safetensors file"),
        "a safetensors file of others": (made["foreign"], "not a posterior of incbayes"),
        "metadata cut short": (made["json"], "its metadata are damaged"),
        "metadata of another form": (made["list"], "its metadata are damaged"),
        "metadata that are a number": (made["number"], "its metadata are damaged"),
    }


def test_a_posterior_that_is_damaged_or_foreign_is_refused_by_name(fitted, chain, tmp_path):
    trace, parent = tmp_path / "unpickled", chain.posterior(1)
    found = damages(parent, fitted, trace)
    for content, expected in found.values():
        parent.write_bytes(content)
        text = refusal(lambda: chain.fit(2), SealError)
        assert str(parent) in text and "damaged or edited" in text
        assert parent.read_bytes() == content and not chain.posterior(2).exists()
        text = refusal(lambda: read_posterior(parent, chain.request.identity(1)), PosteriorError)
        assert str(parent) in text and expected in text
    parent.unlink()
    assert f"{parent}: no such file" in refusal(lambda: chain.fit(2))
    parent.mkdir()
    assert f"{parent}: cannot be read" in refusal(lambda: chain.fit(2))
    assert not trace.exists(), "something was unpickled"
    survived(
        "a posterior truncated, bit-flipped, swapped, of a newer format, a pickle, absent …",
        len(found) + 2,
        "one line that names the file; nothing is unpickled or written",
    )


OF_THE_STAGE = ("method", "budget", "pixels", "settings")
"""What the parts do not depend on."""


def test_a_posterior_of_another_run_is_refused(fitted, chain):
    others = {
        "study": "other",
        "experiment": "other",
        "method": "other",
        "seed": 1,
        "budget": "quick",
        "replicates": [1],
        "pixels": {"kind": "divide"},
        "settings": None,
    }
    for key, value in others.items():
        asked = chain.asked(**{key: value}) if key != "settings" else chain.trained(epochs=3)
        text = refusal(lambda asked=asked: asked.fit(2))
        place = asked.posterior(1) if key in OF_THE_STAGE else asked.request.parts_file
        assert f"{seal_path(place)}: " in text and "belongs to another run" in text
    survived("the posterior of another run as parent", len(others), "one line that says which")


def test_a_damaged_checkpoint_counts_as_absent(fitted, chain):
    class StopError(Exception):
        pass

    class Stopping(Silent):
        steps = 0

        def on_step(self, replicate, run):
            self.steps += 1
            if self.steps == 20:
                raise StopError

    with pytest.raises(StopError):
        chain.saving(0).fit(2, Stopping())
    checkpoint = chain.outputs(2).checkpoint
    content = checkpoint.read_bytes()
    places = range(0, len(content), len(content) // 23)
    damaged = [content[:p] + bytes([content[p] ^ 4]) + content[p + 1 :] for p in places]
    damaged += [b"", content[: len(content) // 2], pickle.dumps(1)]
    for found in damaged:
        checkpoint.write_bytes(found)
        chain.fit(2)
        assert chain.digests(2) == fitted.digests(2) and not checkpoint.exists()
    survived(
        "a checkpoint with a flipped bit, truncated, or a pickle",
        len(damaged),
        "it counts as absent; the same checksums as undisturbed",
    )


def test_the_choice_of_a_grid_that_is_damaged_or_of_another_run_is_named(fitted, chain, tmp_path):
    prior = KindSpec("grid", {"variances": [0.1]})
    asked = chain.asked(settings=replace(SETTINGS, prior=prior))
    data = asked.request.opened(torch.device("cpu"))
    path = tmp_path / "prior.json"
    weights = tmp_path / "posterior.safetensors"
    shutil.copy(fitted.posterior(1), weights)
    source = SourceFiles(weights=weights, selection=path)
    described = read_posterior(weights).metadata
    identity = {key: described[key] for key in ("study", "experiment", "replicates")}
    sealed = write_seal(
        seal_path(weights), "posterior", identity, [weights], {"images": data.images.seal}
    )
    for content in ("", "{", "[]", '{"variances": 3}', '{"variances": {"7": {}}}'):
        path.write_text(content)
        assert f"{path}: " in refusal(lambda: read_variance(source, asked, data))
    own = asked.request.identity(0)
    parents = data.seals | {"weights": sealed}
    chosen = {"variances": {"0": {"variance": 0.1}}}
    for of, made_from, expected in (
        (own | {"method": "other"}, parents, "method is 'other'"),
        (own, parents | {"weights": data.images.seal}, "made from another weights"),
    ):
        write_seal(path, VARIANCE, of, parents=made_from, facts=chosen)
        assert expected in refusal(lambda: read_variance(source, asked, data), SealError)
    write_seal(path, VARIANCE, own, parents=parents, facts=chosen)
    assert read_variance(source, asked, data) == 0.1


def read_variance(source, asked, data):
    """Return the variance of replicate 0, whatever the weights were fitted to."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(data), "check_data", lambda *arguments: None)
        return source.read(asked.request, data).of[0].variance


def test_data_changed_under_their_name_are_noticed(fitted, chain, tmp_path):
    changes = {
        "a bit flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        "truncated": lambda content: content[:-1],
        "emptied": lambda content: b"",
    }
    for change in changes.values():
        data = tmp_path / "changed" / "data"
        shutil.copytree(fitted.data, data, dirs_exist_ok=True)
        path = data / "train.safetensors"
        path.write_bytes(change(path.read_bytes()))
        changed = chain.asked(data=data)
        text = refusal(lambda changed=changed: changed.fit(2))
        assert str(path) in text and "prepare the data again" in text
    survived("prepared data changed under their name", len(changes), "one line that names the file")


# Lost sources.


def test_a_stage_needs_neither_the_images_of_earlier_parts_nor_earlier_posteriors(
    fitted, tmp_path, monkeypatch
):
    parts = 3
    cut_parts(fitted.data, parts)
    whole = Chain(tmp_path / "whole", fitted.data, parts)
    for t in (1, 2, 3):
        whole.fit(t)
    left = whole.at(tmp_path / "left")
    shutil.copytree(whole.posterior(2).parent, left.posterior(2).parent)
    earlier = left.request.open(torch.device("cpu")).cut(0).parts[:-1]

    def blanked(*arguments, **options):
        split = open_split(*arguments, **options)
        images = split.images.clone()
        for indices in earlier:
            images[torch.as_tensor(indices)] = 0
        return PreparedSplit(split.path, images, split.labels)

    monkeypatch.setattr(images_module, "open_split", blanked)
    left.fit(3)
    state, expected = (read_posterior(chain.posterior(3)).states[0] for chain in (left, whole))
    assert all(torch.equal(state[n][k], v) for n, s in expected.items() for k, v in s.items())
    assert not left.posterior(1).exists()
    survived(
        "images of all parts before t blanked, posteriors before t-1 deleted",
        1,
        "stage t ends in the same weights",
    )


# The disk.


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 KB, or a reason why there is none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system takes root and mount")
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let root mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a reader may still map a file


def test_a_full_disk_is_named_and_the_stage_goes_on_once_there_is_room(fitted, chain, small_disk):
    there = chain.at(small_disk / "chain").saving(0)
    shutil.copytree(chain.posterior(1).parent, there.posterior(1).parent)
    parent, ballast = there.digests(1), small_disk / "ballast"
    rooms = (0, 4096, 8192, 12288, 16384, 20480, 24576)
    for room in rooms:
        fill(ballast, small_disk, room)
        text = refusal(lambda: there.fit(2), FileError)
        assert text.startswith(str(there.posterior(2).parent)) and "No space left" in text
        assert there.digests(1) == parent and not there.posterior(2).exists()
        assert not list(small_disk.rglob("*.partial"))
        ballast.unlink()
    there.fit(2)
    assert there.digests(2) == fitted.digests(2)
    survived(
        "a disk that is full while a stage writes",
        len(rooms),
        "one line; the parent intact; with room, the same checksums as undisturbed",
    )


def fill(ballast, disk, room):
    """Fill a disk but for `room` bytes."""
    free = os.statvfs(disk)
    ballast.write_bytes(b"x" * max(0, free.f_bavail * free.f_frsize - room))


def test_a_log_on_a_full_disk_ends_no_job(small_disk, capsys):
    log = small_disk / "log"
    with job("a job", log) as console:
        fill(small_disk / "ballast", small_disk, 0)
        console.log("x" * 10_000)
    with pytest.raises(SystemExit), job("a job", log):
        raise FileError("the disk is full")
    with pytest.raises(SystemExit), job("a job", log):
        raise OSError(errno.ENOSPC, "No space left on device", "file")
    said = capsys.readouterr().err.splitlines()
    assert said == ["a job: the disk is full", "a job: [Errno 28] No space left on device: 'file'"]


def test_a_file_system_that_may_only_be_read_is_named(chain, small_disk):
    there = chain.at(small_disk / "chain")
    shutil.copytree(chain.posterior(1).parent, there.posterior(1).parent)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    text = refusal(lambda: there.fit(2), FileError)
    assert str(there.posterior(2).parent) in text and "Read-only file system" in text
    with pytest.raises(SystemExit), job("a job", chain.folder / "log"):
        there.fit(2)
    survived("results on a file system mounted read-only", 1, "one line that names the folder")


def test_a_missing_permission_is_named(chain):
    if os.geteuid() != 0:
        pytest.skip("becoming another user takes root; root itself may write anywhere")
    folder = chain.posterior(2).parent
    folder.mkdir()
    pid = os.fork()
    if pid == 0:
        os._exit(exit_code_of_nobody(chain))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    survived("a folder that the user may not write to", 1, "one line that names the folder")


def exit_code_of_nobody(chain):
    """Try to write as the user nobody, in a process that ends with it; 0 if that is refused."""
    from incbayes.core.files import atomic_write

    os.setgid(65534)
    os.setuid(65534)
    try:
        with atomic_write(chain.posterior(2)) as partial:
            partial.write_bytes(b"x")
    except FileError as error:
        return 0 if "Permission denied" in str(error) else 1
    return 2


# The code.


def test_nothing_evaluates_text_or_unpickles():
    forbidden = {
        r"(?<![\w.])(eval|exec)\(": "evaluates text",
        r"(?<![\w.])compile\((?!tree, )": "evaluates text",  # a tree is only checked
        r"yaml\.(unsafe_|full_)?load\((?!.*Loader=(StudyLoader|loader))": "loads without a safe lo",
        r"\btorch\.load\((?!.*weights_only=True)": "unpickles",
        r"^\s*(import|from) (pickle|dill|joblib|shelve|marshal)\b": "unpickles",
        r"allow_pickle=True": "unpickles",
        r"\bsave_file\(": "leaves a temporary file behind when it is killed",
    }
    sources = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.py")]
    sources += (ROOT / "workflow").rglob("*.smk")
    found = [
        f"{path}:{number}: {why}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for pattern, why in forbidden.items()
        if re.search(pattern, line)
    ]
    assert len(sources) > 80 and not found


# The table.


@pytest.mark.skipif(WRITING in os.environ, reason="the table is being written")
def test_every_row_of_the_table_is_of_a_test_that_is_there():
    named = [re.search(r"`(\w+)::(\w+)` \|$", row).groups() for row in rows()]
    assert {f"{module}.py" for module, _ in named} == set(MODULES)
    for module, test in named:
        text = file_of(module).read_text(encoding="utf-8")
        assert f"def {test}(" in text and "survived(" in text
    faults = [row.split(" | ")[0] for row in rows()]
    assert len(faults) == len(set(faults))
