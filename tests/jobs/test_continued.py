"""A chain that goes on from the posterior of another one: from what, and when it may not."""

import copy
import shutil
from dataclasses import replace

import pytest
import torch
from refusals import refusal
from running import TINY, planned, run
from stage_files import changed
from tiny_chain import SETTINGS, SILENT, TRAINING, tiny_chain, training_of

from incbayes.core.files import sha256_file
from incbayes.core.seal import SealError, any_seal
from incbayes.data.images import ImageSource
from incbayes.jobs.fit import Lineage, run_stage
from incbayes.jobs.request import Machine
from incbayes.posterior.file import PosteriorError, read_metadata, read_posterior
from incbayes.prediction.show import facts
from incbayes.study.continuation import continued_files
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError

GOES_ON = replace(SETTINGS, prior=KindSpec("posterior", {"continue_from": "elsewhere"}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A chain of two parts that was fitted."""
    chain = tiny_chain(tmp_path_factory.mktemp("finished"))
    chain.fit(1)
    chain.fit(2)
    return chain


def go_on(chain, files, **asked):
    """Fit stage 1 of a chain from posterior files."""
    chain.asked(settings=GOES_ON, method="next", **asked).go_on(files)


def untrained(chain):
    """Return a chain whose stages take steps too small to move anything."""
    still = replace(GOES_ON, training=training_of(TRAINING | {"learning_rate": 1e-30}))
    return chain.asked(settings=still)


def test_stage_one_starts_at_the_posterior_and_names_it_and_its_pixel_scaling(finished, tmp_path):
    chain, last = finished.at(tmp_path / "next"), finished.posterior(2)
    request = untrained(chain).asked(method="next").request
    lineage = Lineage(None, continued={last: sha256_file(last)})
    run_stage(request, 1, lineage, chain.outputs(1), Machine("cpu", 1, 1e9, listener=SILENT))
    before, after = read_posterior(last), read_posterior(chain.posterior(1))
    for layer, state in before.states[0].items():
        for key, value in state.items():
            torch.testing.assert_close(after.states[0][layer][key], value, rtol=0, atol=1e-6)
    assert after.metadata["pixels"] == before.metadata["pixels"]
    assert after.metadata["parent"] is not None
    sealed = any_seal(chain.outputs(1).seal)
    assert sealed.parents["continued 1"].digest == any_seal(finished.outputs(2).seal).digest


def test_each_replicate_goes_on_from_its_own_or_all_from_the_only_one(finished, tmp_path):
    only = finished.posterior(2)
    chain = finished.at(tmp_path / "same")
    go_on(chain, [only])
    other = finished.at(tmp_path / "other")
    shutil.copy(only, tmp_path / "alone.safetensors")  # without its seal
    go_on(other, [tmp_path / "alone.safetensors"])
    same = read_posterior(chain.posterior(1))
    for layer, state in read_posterior(other.posterior(1)).states[0].items():
        assert all(torch.equal(value, same.states[0][layer][key]) for key, value in state.items())
    assert "continued 1" not in any_seal(other.outputs(1).seal).parents
    steps = [(one["what"], one["state"]) for one in facts(other.posterior(1))["lineage"]]
    assert steps == [("continued posterior", "unverified")]
    steps = [(one["what"], one["state"]) for one in facts(chain.posterior(1))["lineage"]]
    assert steps == [(f"tiny/digits/ffg: t = {t}", "verified") for t in (2, 1)]


NOT_ALIKE = {
    "model is {'kind': 'mlp', 'widths': [8]}, expected": {
        "settings": replace(GOES_ON, model=KindSpec("mlp", {"widths": [9]}))
    },
    "family is 'ffg', expected 'cfg'": {"settings": replace(GOES_ON, family=KindSpec("cfg"))},
    "pixels is {'kind': 'standard', 'statistics': 'first'}, expected": {
        "pixels": {"kind": "standard", "statistics": "all"}
    },
}


@pytest.mark.parametrize("expected", NOT_ALIKE)
def test_another_network_family_or_scaling_is_refused_in_one_line(expected, finished, tmp_path):
    chain = finished.at(tmp_path / "next")
    request = chain.asked(**{"settings": GOES_ON} | NOT_ALIKE[expected]).request
    path = finished.posterior(2)
    lineage = Lineage(None, continued={path: sha256_file(path)})
    machine = Machine("cpu", 1, 1e9, listener=SILENT)
    text = refusal(
        lambda: run_stage(request, 1, lineage, chain.outputs(1), machine), PosteriorError
    )
    assert text.startswith(f"{path}: ") and expected in text
    assert not chain.posterior(1).exists()


def test_a_posterior_of_other_code_of_the_network_is_refused(finished, tmp_path):
    probe = copy.deepcopy(read_metadata(finished.posterior(2))["probe"])
    probe["outputs"]["0"][1][3] += 0.5  # as another activation makes of the same weights
    other = changed(finished.posterior(2), tmp_path / "other.safetensors", probe=probe)
    chain = finished.at(tmp_path / "next")
    text = refusal(lambda: go_on(chain, [other]), PosteriorError)
    assert text.startswith(f"{other}: the code of the model mlp does not compute what the file was")
    assert "output 4 of a fixed input is" in text


def test_files_that_are_no_blocks_of_one_chain_are_refused_with_both_names(finished, tmp_path):
    def refused(other):
        files = [finished.posterior(2), other.posterior(2)]
        return refusal(lambda: go_on(finished.at(tmp_path / "next"), files), PosteriorError)

    same = finished.at(tmp_path / "same")
    shutil.copytree(finished.folder, same.folder)
    both = f"{same.posterior(2)}: holds replicate 0, and so does {finished.posterior(2)}"
    assert refused(same).startswith(both)
    read = read_posterior(finished.posterior(2))
    names = {key: {"1": read.metadata[key]["0"]} for key in ("classes", "class_names", "images")}
    pixels = read.metadata["pixels"]
    names["pixels"] = pixels | {key: {"1": pixels[key]["0"]} for key in ("mean", "std")}
    for key, value in {"seed": 1, "config": "0" * 64, "t": 1}.items():
        of_another = finished.at(tmp_path / key)
        path = of_another.posterior(2)
        path.parent.mkdir(parents=True)
        # Of another replicate, so that this alone is the fault.
        changed(finished.posterior(2), path, {1: read.states[0]}, **{**names, key: value})
        text = refused(of_another)
        assert text.startswith(f"{path}: {key} is {value!r}, that of {finished.posterior(2)} is ")


def test_images_that_were_cut_otherwise_are_refused(finished, tmp_path, monkeypatch):
    last = finished.posterior(2)
    stated = {"resize": "crop", "convert": "refuse", "background": 255}
    cut = changed(last, tmp_path / "cut.safetensors", decoding=stated)
    pads = property(lambda images: {"resize": "pad", "convert": "grey", "background": 255})
    monkeypatch.setattr(ImageSource, "decoding", pads)
    text = refusal(lambda: go_on(finished.at(tmp_path / "next"), [cut]), PosteriorError)
    assert text.startswith(f"{cut}: resize of its images is 'crop', expected 'pad'")
    go_on(finished.at(tmp_path / "of no files"), [last])  # which says nothing of it


def test_other_bytes_than_were_planned_or_than_the_seal_says_are_refused(finished, tmp_path):
    copied = shutil.copytree(finished.folder, tmp_path / "copy") / "t02" / "posterior.safetensors"
    request = finished.asked(settings=GOES_ON).request
    outputs, machine = finished.at(tmp_path / "next").outputs(1), Machine("cpu", 1, 1e9)

    def fit(sha256):
        run_stage(request, 1, Lineage(None, continued={copied: sha256}), outputs, machine)

    assert "changed since the job was planned" in refusal(lambda: fit("0" * 64), PosteriorError)
    shutil.copy(finished.posterior(1), copied)
    text = refusal(lambda: fit(sha256_file(copied)), SealError)
    assert "damaged or edited" in text


def test_a_chain_is_named_by_its_folder_of_which_the_last_stage_counts(finished, tmp_path):
    chain = tmp_path / "T2"
    shutil.copytree(finished.folder, chain / "r0-1")
    shutil.copytree(finished.folder, chain / "r2-3")

    def files(path):
        return continued_files(KindSpec("posterior", {"continue_from": str(path)}), ("prior",))

    last = [chain / block / "t02" / "posterior.safetensors" for block in ("r0-1", "r2-3")]
    assert files(chain) == last
    assert files(last[0]) == last[:1]
    assert continued_files(KindSpec("normal", {"sigma": None}), ("prior",)) == []
    shutil.copytree(finished.folder, chain / "r3-3")  # of a run with other blocks
    text = refusal(lambda: files(chain), StudyError)
    assert f"{chain / 'r2-3'} and {chain / 'r3-3'} are both of replicate 3" in text
    shutil.rmtree(chain / "r3-3")
    last[0].unlink()
    assert "r0-1 at t01, r2-3 at t02" in refusal(lambda: files(chain), StudyError)
    assert "neither a posterior nor" in refusal(lambda: files(tmp_path / "none"), StudyError)
    assert "not the folder of a chain" in refusal(lambda: files(chain / "r0-1"), StudyError)


def study(name, prior=None):
    """Return a study of one method in one part."""
    made = copy.deepcopy(TINY) | {"study": name, "claims": {}, "replicates_per_block": 1}
    made["training"] = {"epochs": 1, "batch_size": 256}
    made["experiments"]["digits"] |= {"parts": [1], "methods": ["ffg"]}
    made["methods"] = {"ffg": {"family": "ffg"} | ({"prior": prior} if prior else {})}
    return made


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (" ", "allowed: a path in one line, not empty"),
        ("{block}/x", "which Snakemake replaces"),
        ("$NO_SUCH/x", "the variable NO_SUCH is not set"),
    ],
)
def test_a_path_that_cannot_be_one_is_refused_with_its_key(path, expected):
    text = refusal(
        lambda: resolve_study(study("next", {"kind": "posterior", "continue_from": path})),
        StudyError,
    )
    assert text.startswith("methods.ffg.prior.continue_from: ") and expected in text


def test_a_study_goes_on_from_another_study_through_the_real_workflow(tmp_path):
    prior = {"kind": "posterior", "continue_from": "results/first/digits/ffg/T1"}
    missing = run(tmp_path, study("next", prior), "--dry-run")
    assert missing.returncode and "methods.ffg.prior.continue_from: there is no" in missing.stdout
    for asked in (study("first"), study("next", prior)):
        found = run(tmp_path, asked)
        assert found.returncode == 0, found.stdout
    results = tmp_path / "results"
    first, after = (
        read_metadata(results / name / "digits/ffg/T1/r1-1/t01/posterior.safetensors")
        for name in ("first", "next")
    )
    assert after["pixels"] == first["pixels"]
    assert not planned(tmp_path, study("next", prior))
    # Another posterior in its place is another prior.
    found = run(tmp_path, study("first") | {"seed": 7})
    assert found.returncode == 0, found.stdout
    again = planned(tmp_path, study("next", prior))
    assert sum(job.startswith("fit ") for job in again) == 2
