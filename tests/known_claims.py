"""Claims on made records of which the truth is known."""

import numpy as np
import pandas as pd

from incbayes.kinds import CLAIM_TESTS
from incbayes.results.collect import RECORD_COLUMNS
from incbayes.study.model import Claim, Group, KindSpec

MARGIN = {"margin": 0.01, "reason": "known"}
ANY = {"by": 0.0, "reason": "any difference counts"}
TESTS = {
    "greater": CLAIM_TESTS.build({"kind": "greater", **ANY}),
    "greater by 0.01": CLAIM_TESTS.build({"kind": "greater", **ANY, "by": 0.01}),
    "less": CLAIM_TESTS.build({"kind": "less", **ANY}),
    "ordered": CLAIM_TESTS.build({"kind": "ordered", **ANY}),
    "equivalent": CLAIM_TESTS.build({"kind": "equivalent", **MARGIN}),
    "not_less": CLAIM_TESTS.build({"kind": "not_less", **MARGIN}),
    "not_greater": CLAIM_TESTS.build({"kind": "not_greater", **MARGIN}),
}


def group(method: str, **keys) -> Group:
    """Return a group of the made experiment, as `study.claims_of` does."""
    usual = {"experiment": "e", "method": method, "T": 2, "t": 2, "predictor": "predictive"}
    return Group(**(usual | {"split": "test", "reported": None, "kl_scale": None} | keys))


def claim(relation: str | dict, *groups: str | Group | float, **keys) -> Claim:
    """Return a claim on the accuracy of groups; a name stands for the group of that method."""
    relation = relation if isinstance(relation, dict) else {"kind": relation}
    if relation["kind"] in ("greater", "less", "ordered"):
        relation = {"kind": relation["kind"], **ANY} | relation
    usual = {
        "paper": "A paper (2018)",
        "place": None,
        "sentence": "A sentence.",
        "metric": "accuracy",
        "relation": KindSpec.of(relation),
        "groups": tuple(group(g) if isinstance(g, str) else g for g in groups),
        "level": 0.05,
        "figure": None,
    }
    return Claim(**(usual | keys))


def records(**methods) -> pd.DataFrame:
    """Return the records of the last stage: of each method, its accuracy by replicate."""
    rows = [
        {
            "study": "s", "experiment": "e", "method": method, "family": "ffg", "T": 2, "t": 2,
            "replicate": replicate, "split": "test", "predictor": "predictive",
            "metric": "accuracy", "value": float(value), "budget": "full",
        }
        for method, values in methods.items()
        for replicate, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))


RNG = np.random.default_rng(2018)
NOISE = RNG.normal(0, 0.001, (4, 8))
BASE = 0.9 + RNG.normal(0, 0.02, 8)
KNOWN = records(
    low=BASE - 0.03 + NOISE[0],
    middle=BASE,
    near=BASE + 0.002 + NOISE[1],
    high=BASE + 0.03 + NOISE[2],
    noisy=BASE + 0.002 + 40 * NOISE[3],
    one=BASE[:1],
)
EQUIVALENT, NOT_LESS, NOT_GREATER = (
    {"kind": kind, **MARGIN} for kind in ("equivalent", "not_less", "not_greater")
)
