"""A linear model of a number with known noise, whose posterior has a closed form."""

import math

import numpy as np
import pandas as pd

NOISE, PRIOR_SIGMA = 0.5, 1.0
"""Of the standardised target, and of every weight."""

STUDY = {
    "study": "conjugate",
    "replicates": 4,
    "replicates_per_block": 4,
    "data_root": ".",
    "training": {"epochs": 400, "batch_size": 1000, "learning_rate": 0.02, "log_sigma_rate": 2.0},
    "evaluation": {"samples": 400},
    "experiments": {
        "line": {
            "dataset": {
                "kind": "table",
                "source": "rows.csv",
                "test_source": "test.csv",
                "target": "y",
                "features": ["x", "z"],
            },
            "pixels": {"kind": "columns", "statistics": "all"},
            "likelihood": {"kind": "gaussian", "noise": NOISE},
            "model": {"kind": "mlp", "widths": []},
            "parts": [1, 4],
        }
    },
    "methods": {"ffg": {"family": "ffg", "prior": {"kind": "normal", "sigma": PRIOR_SIGMA}}},
}
"""Without its claims."""


def rows(count, seed):
    """Return rows of y = 3 - 2x + z/2 and noise, with x and z orthogonal."""
    rng = np.random.default_rng(seed)
    x, z = rng.permutation(np.linspace(-2, 2, count)), rng.choice([-1.0, 1.0], count)
    y = 3 - 2 * x + 0.5 * z + rng.normal(0, 1.3, count)
    return pd.DataFrame({"x": x, "z": z, "y": y})


def written(folder):
    """Write the rows to fit and those to score on; return both."""
    train, test = rows(240, 1), rows(80, 2)
    train.to_csv(folder / "rows.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return train, test


def exact_nlpd(train, test):
    """Return the NLPD of the exact posterior of all rows, in the unit of y, in float64.

    Bishop, Pattern Recognition and Machine Learning (2006), eq. (3.53), (3.54), (3.58), (3.59).
    """
    mean, std = train.mean(), train.std(ddof=0)
    (phi, target), (phi_test, target_test) = (
        (np.column_stack([scaled[["x", "z"]], np.ones(len(scaled))]), scaled["y"].to_numpy())
        for scaled in ((frame - mean) / std for frame in (train, test))
    )
    precision = phi.T @ phi / NOISE**2 + np.eye(3) / PRIOR_SIGMA**2
    covariance = np.linalg.inv(precision)
    weights = covariance @ phi.T @ target / NOISE**2
    variance = NOISE**2 + np.einsum("nd,de,ne->n", phi_test, covariance, phi_test)
    errors = (target_test - phi_test @ weights) ** 2
    nats = 0.5 * errors / variance + 0.5 * np.log(2 * math.pi * variance)
    return float(nats.mean() + math.log(std["y"]))


def with_claims(nlpd):
    """Return the study with the claims that sequence, all at once and closed form agree."""
    group = {"experiment": "line", "method": "ffg"}
    relation = {"kind": "equivalent", "margin": 0.03, "reason": "small beside what a part teaches"}
    chain, whole = group | {"T": 4}, group | {"T": 1}
    claims = {
        name: {"sentence": sentence, "metric": "nlpd", "relation": relation, "groups": groups}
        for name, sentence, groups in (
            ("in_parts", "Four parts give what all rows at once give.", [chain, whole]),
            ("chain_is_exact", "Four parts give the closed form.", [chain, nlpd]),
            ("whole_is_exact", "All rows at once give the closed form.", [whole, nlpd]),
        )
    }
    return STUDY | {"claims": claims}
