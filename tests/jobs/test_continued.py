"""A chain that goes on from the posterior of another one: from what, and when it may not."""

import copy
import shutil
from dataclasses import replace

import pytest
import torch
from refusals import refusal
from running import TINY, planned, run
from tiny_chain import SETTINGS, SILENT, TRAINING, tiny_chain, training_of

from incbayes.core.files import sha256_file
from incbayes.core.seal import SealError, any_seal
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
    shutil.copytree(finished.folder, chain / "r1-2")

    def files(path):
        return continued_files(KindSpec("posterior", {"continue_from": str(path)}), ("prior",))

    last = [chain / block / "t02" / "posterior.safetensors" for block in ("r0-1", "r1-2")]
    assert files(chain) == last
    assert files(last[0]) == last[:1]
    assert continued_files(KindSpec("normal", {"sigma": None}), ("prior",)) == []
    last[0].unlink()
    assert "r0-1 at t01, r1-2 at t02" in refusal(lambda: files(chain), StudyError)
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
