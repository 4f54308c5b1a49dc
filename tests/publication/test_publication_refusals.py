"""What may stand beside what was published, and what is refused in one line."""

import dataclasses
import json
import shutil

import pytest
from made_publications import changed, measured, publish_in_turn
from msgspec.structs import replace

from incbayes.core.seal import write_seal
from incbayes.publication.kept import check_origins
from incbayes.publication.publish import SEAL, PublicationError, joined, read_published


@pytest.fixture(scope="module")
def one_method(tmp_path_factory):
    """A folder in which one method of one experiment was published."""
    folder = tmp_path_factory.mktemp("one method")
    publish_in_turn(folder, measured(["e0.m0"]))
    return folder


def test_replicates_of_other_settings_code_and_images_are_not_added():
    kept = joined(None, measured(["e0.m0"], numbers=range(2)))
    more = measured(["e0.m0"], numbers=range(2, 4))
    joined(kept, more)
    other = dataclasses.replace(more, study=changed(more.study, training={"epochs": 99}))
    with pytest.raises(PublicationError, match="e0.m0.T1 was published with training.epochs 12"):
        joined(kept, other)
    (source,) = more.provenance["sources"]
    newer = {**more.provenance, "sources": [{**source, "code_digest": "beef" * 16}]}
    other = dataclasses.replace(more, provenance=newer)
    with pytest.raises(PublicationError, match="by code c0dec0dec0dec0de, and this is beefbeef"):
        joined(kept, other)
    both = joined(kept, dataclasses.replace(other, study=replace(more.study, other_code=True)))
    assert len(both.provenance["sources"]) == 2
    images = {"e0": {"train": "c" * 64, "test": "b" * 64}}
    moved = {**more.provenance, "sources": [{**source, "images": images}]}
    with pytest.raises(PublicationError, match="made of other images"):
        joined(kept, dataclasses.replace(more, provenance=moved))


def test_a_published_block_stays_or_goes_as_a_whole(one_method):
    with pytest.raises(PublicationError, match="e0.m0.T1: block r0-3 was published as a whole"):
        joined(read_published(one_method), measured(["e0.m0"], numbers=range(2, 6)))


def test_a_replicate_that_is_run_again_was_first_run_when_it_was_before(one_method):
    again = measured(["e0.m0"], "again")
    later = [run | {"started": "2026-03-01T00:00:00+00:00"} for run in again.provenance["runs"]]
    provenance = {**again.provenance, "runs": later}
    both = joined(read_published(one_method), dataclasses.replace(again, provenance=provenance))
    first = {run["first_started"] for run in both.provenance["runs"]}
    assert first == {"2026-01-05T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 7}, "e0.m0.T1 was published with seed 2018, and the study has 7"),
        ({"training": {"epochs": 99}}, "training.epochs 12, and the study has 99"),
        ({"evaluation": {"samples": 5}}, "evaluation.samples 100, and the study has 5"),
        ({"e0": {"settings": {"m0": {"objective": {"kl_scale": 3}}}}}, "kl_scale 0.1, and .* 3"),
    ],
)
def test_chains_of_other_settings_do_not_stand_beside_each_other(change, message, one_method):
    run = measured(["e0.m1"])
    for key, value in change.items():
        change = {"experiments": {key: value}} if key in run.study.experiments else {key: value}
        run = dataclasses.replace(run, study=changed(run.study, **change))
    with pytest.raises(PublicationError, match=message):
        joined(read_published(one_method), run)


def test_chains_of_other_images_do_not_stand_beside_each_other(one_method):
    run = measured(["e0.m1"])
    run.provenance["sources"][0]["images"]["e0"]["train"] = "c" * 64
    with pytest.raises(PublicationError, match="e0.m1.T1: made of other images"):
        joined(read_published(one_method), run)
    run.provenance["sources"][0]["chains"] = ["e1.m1.T1"]  # of images that are as they were
    joined(read_published(one_method), run)


def test_nor_do_chains_with_other_outliers_or_other_data_of_given_weights():
    images = {"e": {"train": "a"}, "e, outliers x": {"test": "b"}, "other": {"train": "c"}}
    images |= {"e, shifts c": {"test": "e"}}
    sources = [{"chains": [f"e.m{place}.T1"], "images": dict(images)} for place in (0, 1)]
    check_origins(sources)
    del sources[0]["images"]["e, outliers x"]  # published before outliers were scored
    check_origins(sources)
    sources[0]["images"] |= {"e, outliers x": {"test": "d"}, "other": {"train": "d"}}
    with pytest.raises(PublicationError, match="made of other images than .* of e, outliers x"):
        check_origins(sources)


def test_nor_do_chains_of_other_weights_under_one_name():
    sources = [{"chains": [f"e.m{n}.T1"], "images": {}, "weights": {"e": "a" * 64}} for n in (0, 1)]
    sources[1]["weights"] = {"e": "b" * 64, "other": "c" * 64}
    with pytest.raises(PublicationError, match="e.m1.T1: made of other weights .bbbb.*than.*aaaa"):
        check_origins(sources)
    del sources[1]["weights"]["e"]  # published before weights were named
    check_origins(sources)


def test_a_search_behind_published_settings_is_not_lost(one_method):
    kept, run = read_published(one_method), measured(["e0.m1"])
    score = {"T": 1, "accuracy": 0.5, "nll": 1.0}
    tried = {"experiment": "e0", "method": "m0", "settings": {}, "scores": [score], "chosen": True}
    search = {"study": "made", "budget": "full", "reduced": False, "seed": 0, "validation": 0.1}
    search |= {"replicates": 1, "metric": "nll", "candidates": [tried]}
    with_search = [
        dataclasses.replace(part, study=changed(part.study, tuned=search)) for part in (kept, run)
    ]
    with pytest.raises(
        PublicationError, match="e0.m0.T1 was published with settings that a search"
    ):
        joined(with_search[0], run)
    joined(*with_search)
    joined(kept, with_search[1])  # which chose what was there before


def test_files_of_different_chains_are_refused(one_method, tmp_path):
    folder = shutil.copytree(one_method, tmp_path / "published")
    records = (folder / "metrics.csv").read_text().replace(",m0,", ",m1,")
    (folder / "metrics.csv").write_text(records)
    with pytest.raises(PublicationError, match="metrics.csv: its checksum is .* edited"):
        read_published(folder)
    seal = json.loads((folder / SEAL).read_text())
    files = [folder / name for name in seal["files"]]
    write_seal(folder / SEAL, "publication", seal["identity"], files, facts=seal["facts"])
    with pytest.raises(PublicationError, match="its records of e0/m0/.* are not those that were"):
        read_published(folder)
    write_seal(folder / SEAL, "publication", seal["identity"], files, facts={"stages": {}})
    with pytest.raises(PublicationError, match="metrics.csv: not of the chains that study.yaml"):
        read_published(folder)


def test_what_changes_no_number_of_a_published_chain_is_no_obstacle(one_method):
    kept, run = read_published(one_method), measured(["e0.m1"])
    settings = {"m1": {"training": {"learning_rate": 0.1}}}
    study = changed(run.study, title="Another title", experiments={"e0": {"settings": settings}})
    both = joined(kept, dataclasses.replace(run, study=study))
    assert set(both.records["method"]) == {"m0", "m1"}
    # m0 is no longer described.
    study = changed(study, experiments={"e0": {"methods": ["m1", "m2"]}})
    alone = joined(kept, dataclasses.replace(run, study=study))
    assert set(alone.records["method"]) == {"m1"}


@pytest.mark.parametrize(
    "name", ["study.yaml", "metrics.csv", "convergence.csv", "provenance.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_damaged_file_is_named(name, damage, one_method, tmp_path):
    folder = shutil.copytree(one_method, tmp_path / "published")
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_text("" if damage == "empty" else "{a: [", encoding="utf-8")
    with pytest.raises(PublicationError, match=f"{name}: .*delete its folder to publish") as error:
        read_published(folder)
    assert "\n" not in str(error.value)
