"""Per-image evidence: metrics come out of it again, and damage or another's file is named."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_chain import CUT, EVALUATION, SETTINGS, Chain, tiny_chain

from incbayes.core.files import sha256_file
from incbayes.core.seal import SealError, read_seal, seal_path, write_seal
from incbayes.data.part import Part
from incbayes.data.prepared import prepare
from incbayes.evaluation.evidence import class_columns, entropy
from incbayes.evaluation.score import predictor_of
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.metrics.calibration import DECIMALS
from incbayes.posterior.file import read_posterior
from incbayes.results.evidence import (
    COLUMNS,
    ENTROPY,
    KEY,
    LOG_PROBABILITY,
    WITHOUT_BRIER,
    Evidence,
    EvidenceError,
    Rounding,
    evidence_identity,
    read_evidence,
    sealed_evidence,
    write_evidence,
)
from incbayes.study.model import KindSpec, PartitionSettings


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A chain of two replicates over the digits, fitted and scored."""
    folder = tmp_path_factory.mktemp("digits")
    chain = tiny_chain(folder)
    parts = folder / "parts.safetensors"
    asked = PartsRequest("tiny", "digits", [0, 1], 0, PartitionSettings(**CUT))
    run_partition(asked, 2, chain.data / "checksums.json", parts)
    chain = chain.asked(replicates=[0, 1], parts_file=parts)
    return scored(chain)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A chain of two replicates whose target is a number."""
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(3)
    for name, count in (("rows", 120), ("test", 40)):
        x = rng.normal(10, 3, count)
        frame = pd.DataFrame({"x": x, "y": 2000 + 5 * x + rng.normal(0, 4, count)})
        frame.to_csv(folder / f"{name}.csv", index=False)
    stated = {"kind": "table", "source": "rows.csv", "test_source": "test.csv"}
    prepare(stated | {"features": ["x"], "target": "y"}, folder, folder / "data")
    parts = folder / "parts.safetensors"
    asked = PartsRequest("tiny", "digits", [0, 1], 0, PartitionSettings(**CUT))
    run_partition(asked, 2, folder / "data" / "checksums.json", parts)
    chain = Chain(folder / "chain", folder / "data").asked(
        replicates=[0, 1],
        parts_file=parts,
        pixels={"kind": "columns", "statistics": "first"},
        settings=replace(SETTINGS, likelihood=KindSpec("gaussian", {"noise": "learnt"})),
    )
    return scored(chain)


def scored(chain):
    for t in (1, 2):
        chain.fit(t)
    chain.evaluate()
    return chain


def by_replicate(chain, metric):
    """Return a metric of the last stage's predictive on the test set, from metrics.json."""
    records = json.loads(chain.scores(2).metrics.read_text())
    wanted = ("test", "predictive", metric)
    return {
        record["replicate"]: record["value"]
        for record in records
        if (record["split"], record["predictor"], record["metric"]) == wanted
    }


def rows_of(chain):
    frame = read_evidence(chain.scores(2).evidence).frame
    return [(number, rows) for number, rows in frame.groupby("replicate")]


def test_metrics_of_classes_are_computed_again_from_the_evidence(digits):
    names = ("accuracy", "nll", "ece", "brier")
    accuracy, nll, ece, brier = (by_replicate(digits, name) for name in names)
    for replicate, rows in rows_of(digits):
        right = rows["predicted"] == rows["label"]
        assert right.mean() == pytest.approx(accuracy[replicate], abs=1e-12)
        found = -rows["log_probability"].astype(float).mean()
        assert found == pytest.approx(nll[replicate], rel=2e-5, abs=1e-6)
        found = rows["brier"].astype(float).mean()
        assert found == pytest.approx(brier[replicate], rel=2e-4, abs=1e-6)
        confidence = np.exp(rows["log_confidence"].astype(float))
        edges = np.linspace(0, 1, 16).round(DECIMALS)
        bins = np.digitize(confidence, edges[1:-1])
        of_bins = [abs((right - confidence)[bins == b].sum()) for b in range(15)]
        # An image near an edge may change its bin; each moves the error by 1/N at most.
        near = (np.abs(confidence.to_numpy()[:, None] - edges).min(1) < 2e-4).sum()
        assert sum(of_bins) / len(rows) == pytest.approx(
            ece[replicate], abs=2e-4 + 2 * near / len(rows)
        )


def test_entropies_are_those_of_the_predictive_and_of_its_draws(digits):
    """Against a second pass with the same draws, of which each is kept."""
    data = digits.request.open(torch.device("cpu"))
    test = digits.request.images("test", torch.device("cpu"))
    posterior = read_posterior(digits.posterior(2))
    for replicate, rows in rows_of(digits):
        cut = data.cut(replicate)
        numbers = data.train.numbers(cut.parts[0])
        splits = [test.load(None, cut.target_classes, numbers)]
        splits += [data.train.load(cut.parts[t], cut.target_classes, numbers) for t in (0, 1)]
        whole = Part(torch.cat([p.images for p in splits]), torch.cat([p.labels for p in splits]))
        stage = digits.request.stage(2, data.train.shape)
        predictor = predictor_of(stage, 10, EVALUATION, torch.device("cpu"))
        generator = stage.keys.stream(replicate)("prediction", device=torch.device("cpu"))
        draws = torch.stack(
            list(predictor.draws(posterior.states[replicate], whole.images, 20, generator))
        )[:, : len(splits[0].labels)]
        p = draws.exp().mean(0)
        whole_entropy = -(p * p.log()).sum(-1)
        spread = whole_entropy + (draws.exp() * draws).sum(-1).mean(0)
        assert (spread > 1e-3).any(), "draws that all agree would show nothing"
        for name, exact in (("entropy", whole_entropy), ("mutual_information", spread)):
            far = np.abs(rows[name].to_numpy() - exact.numpy())
            assert (far <= ENTROPY.bound(exact.numpy()) + 1e-9).all(), name
        assert (rows["image"].to_numpy() == np.arange(len(rows))).all()
        assert (rows["label"].to_numpy() == test.split.labels.numpy()).all()


def test_metrics_of_a_number_are_computed_again_from_the_evidence(numbers):
    expected = {name: by_replicate(numbers, name) for name in ("rmse", "nlpd", "coverage_90")}
    for replicate, rows in rows_of(numbers):
        rows = rows.astype(float)
        found = {
            "rmse": math.sqrt((rows["error"] ** 2).mean()),
            "nlpd": -rows["log_density"].mean(),
            "coverage_90": ((rows["below"] - 0.5).abs() <= 0.45).mean(),
        }
        for name, value in found.items():
            assert value == pytest.approx(expected[name][replicate], rel=1e-6), name
        assert rows["target"].between(1980, 2120).all() and (rows["deviation"] > 0).all()


@given(st.floats(-1e4, 1e4), st.sampled_from([LOG_PROBABILITY, ENTROPY, Rounding(0.0, 10)]))
def test_a_number_is_kept_to_within_the_bound_that_is_stated(value, rounding):
    values = np.array([value])
    kept = rounding(values).astype(float)
    assert abs(kept - values)[0] <= rounding.bound(values)[0] * (1 + 1e-6) + 1e-37
    assert rounding(kept) == kept


def test_classes_are_named_by_their_numbers_in_the_data_set():
    predicted = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.0, 0.9]], dtype=torch.float64).log()
    found = class_columns(predicted, torch.tensor([1, 2]), None, (3, 5, 8))
    assert found["label"].tolist() == [5, 8] and found["predicted"].tolist() == [3, 8]
    assert found["mutual_information"].tolist() == [0.0, 0.0]
    assert np.isfinite(found["entropy"]).all(), "a probability of 0 has no logarithm"
    uniform = torch.full((1, 4), -math.log(4), dtype=torch.float64)
    assert entropy(uniform).item() == pytest.approx(math.log(4))


def made(replicates=(0, 1), images=50, seed=0):
    """Return made evidence on classes."""
    rng = np.random.default_rng(seed)
    count = images * len(replicates)
    label, predicted = rng.integers(10, size=(2, count))
    predicted = np.where(rng.random(count) < 0.8, label, predicted)
    confidence = np.log(rng.uniform(0.3, 1, count))
    frame = pd.DataFrame(
        {
            "replicate": np.repeat(replicates, images),
            "image": np.tile(np.arange(images) * 3, len(replicates)),
            "label": label,
            "predicted": predicted,
            "log_probability": np.where(predicted == label, confidence, confidence - 2),
            "log_confidence": confidence,
            "entropy": rng.uniform(0, 2, count),
            "mutual_information": rng.uniform(0, 1, count),
            "brier": rng.uniform(0, 2, count),
        }
    )
    stage = {"study": "s", "experiment": "e", "method": "m", "family": "ffg", "T": 2, "t": 2}
    return Evidence(
        evidence_identity(stage | {"replicates": list(replicates)}, "test", "classes", "0" * 64),
        frame,
    )


def test_what_is_written_is_read_and_equal_evidence_gives_equal_bytes(tmp_path):
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_evidence(first, made())
    write_evidence(second, made())
    assert sha256_file(first) == sha256_file(second)
    found, meant = read_evidence(first, "e/m/T2/r0-1/t02"), made()
    assert found.identity == meant.identity
    for name, rounding in COLUMNS["classes"].items():
        values = meant.frame[name].to_numpy()
        bound = rounding.bound(values) + 1e-7 if rounding else 0
        assert (np.abs(found.frame[name].to_numpy() - values) <= bound).all(), name


def test_a_file_from_before_the_brier_score_was_kept_is_read_without_it(tmp_path):
    path = tmp_path / "evidence.parquet"
    write_evidence(path, made())
    table = pq.read_table(path)
    described = {**json.loads(table.schema.metadata[KEY]), "format": WITHOUT_BRIER}
    before = table.drop(["brier"]).replace_schema_metadata({KEY: json.dumps(described).encode()})
    pq.write_table(before, path)
    found = read_evidence(path).frame
    assert found["brier"].isna().all() and list(found) == list(COLUMNS["classes"])
    pq.write_table(before.drop(["entropy"]), path)
    with pytest.raises(EvidenceError, match="columns are"):
        read_evidence(path)
    pq.write_table(before.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(EvidenceError, match="columns are"):
        read_evidence(path)


def rewritten(path, change):
    """Write a file anew with its table changed, and its metadata as they are."""
    table = pq.read_table(path)
    pq.write_table(change(table), path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.replace_schema_metadata({}), "not of the format"),
        (lambda table: table.drop(["entropy"]), "columns are"),
        (lambda table: table.slice(0, 50), "holds the replicates [0]"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "twice"),
        (
            lambda table: table.set_column(
                6, "entropy", pa.array(np.full(100, np.nan, np.float32))
            ),
            "not finite",
        ),
    ],
)
def test_what_is_not_evidence_is_named_in_one_line(tmp_path, change, said):
    path = tmp_path / "evidence.parquet"
    write_evidence(path, made())
    rewritten(path, change)
    with pytest.raises(EvidenceError) as raised:
        read_evidence(path)
    assert said in str(raised.value) and len(str(raised.value).splitlines()) == 1


def test_the_evidence_of_another_stage_is_refused(tmp_path):
    path = tmp_path / "evidence.parquet"
    write_evidence(path, made())
    with pytest.raises(EvidenceError, match="expected that of e/m/T2/r2-3/t02"):
        read_evidence(path, "e/m/T2/r2-3/t02")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EvidenceError, match=r"no per-image evidence in Parquet"):
        read_evidence(path)


def test_evidence_of_other_scores_than_the_records_is_refused(digits, tmp_path):
    path = digits.scores(2).evidence
    folder = tmp_path / "tiny/digits/ffg/T2/r0-1/t02"
    folder.mkdir(parents=True)
    for file in (*digits.scores(2).sealed, digits.scores(2).seal):
        (folder / file.name).write_bytes(file.read_bytes())
    path = folder / path.name
    scores = read_seal(seal_path(folder / "metrics.json"), "scores")
    stage = "digits/ffg/T2/r0-1/t02"
    own = write_seal(tmp_path / "a.seal.json", "records", {}, parents={stage: scores})
    assert sealed_evidence(path, own).stage == stage
    none = write_seal(tmp_path / "b.seal.json", "records", {})
    with pytest.raises(SealError, match="is of other scores than the records"):
        sealed_evidence(path, none)
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(SealError, match="damaged or edited"):
        sealed_evidence(path, own)
