"""The study of inference algorithms, reduced, from one command to its report."""

import pandas as pd
import pytest
import yaml
from running import ROOT, run

from incbayes.posterior.file import read_metadata

pytestmark = pytest.mark.slow


def test_every_algorithm_reaches_the_report(tmp_path):
    study = yaml.safe_load((ROOT / "studies" / "methods_digits.yaml").read_text("utf-8"))
    # What others run too: plain variational inference, and Laplace by its other family.
    for covered in ("ffg", "ffg_soft", "laplace"):
        del study["methods"][covered]
    study["experiments"]["digits"] |= {"parts": [2], "model": {"kind": "mlp", "widths": [8]}}
    study |= {
        "claims": {},
        "training": {"epochs": 2},
        "evaluation": {"samples": 3},
        "replicates": 2,
    }
    study["replicates_per_block"] = 2
    run(tmp_path, study)
    results = tmp_path / "results" / "methods_digits"
    records = pd.read_csv(results / "metrics.csv")
    assert set(records["method"]) == set(study["methods"])
    assert records["value"].notna().all()
    training = pd.concat(
        pd.read_csv(path).assign(method=path.parts[-5], t=path.parts[-2])
        for path in results.glob("digits/*/T2/*/t*/training.csv")
    )
    last = training[training["t"] == "t02"].set_index("method")
    assert last["function_kl"].notna().groupby(level=0).all().to_dict() == {
        method: method == "function" for method in study["methods"]
    }
    assert last["penalty"].notna().groupby(level=0).all()["kron"]
    assert (last.loc["cumulative", "images"] == 1437).all() and last.loc["ft", "images"].max() < 720
    replayed, own = (set(last.loc[method, "images"]) for method in ("replay", "ft"))
    assert replayed == {images + 100 for images in own}
    page = (results / "report.html").read_text("utf-8")
    for method, described in study["methods"].items():
        kind = described.get("inference", "vi")
        kind = kind if isinstance(kind, str) else kind["kind"]
        assert kind == "vi" or f"fitted by {kind}" in page
        posterior = results / f"digits/{method}/T2/r0-1/t02/posterior.safetensors"
        family = read_metadata(posterior)["network"]["family"]
        stated = described["family"]
        assert family["kind"] == (stated if isinstance(stated, str) else stated["kind"])
