"""Made results of studies of any shape, for the tests of what only reads results.

The numbers look like those of real runs (fine-tuning loses, widths shrink, curves fall), so that
the figures drawn from them can be looked at; they are measurements of nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from made_changes import certainty, outlier_records, shift_records

from incbayes.claims.ledger import judge, write_ledger
from incbayes.figures.context import FigureContext
from incbayes.report.claims_table import Ledger, read_ledger
from incbayes.results.frames import Frames
from incbayes.study.model import Study, claims_of_plain, study_of

LABELS = (
    "Fine-tuning",
    "FFG",
    "CFG",
    "MNF",
    "FFG, Laplace prior",
    "FFG, pretrained, σ² from a grid",
    "Fine-tuning, pretrained",
    "Planar flow",
    "FFG, one weight sample a batch",
    "A method, $_$, whose label is the longest",
    *(f"FFG {number}" for number in range(11, 27)),
)
LAYERS = ("conv1", "conv2", "conv3", "dense1", "dense2", "output")
EPOCHS = 12


@dataclass(frozen=True)
class Shape:
    """The shape of a made study.

    Attributes:
        methods: number of methods; the first is a point estimate.
        experiments: number of experiments.
        parts: the T's of every experiment.
        replicates: number of replicates.
        layers: number of layers.
        reduced: whether the budget is a reduced one.
        points_only: whether no method has a width.
        kl_scale: of every method with a width.
        name_length: of every title and label, in characters; 0 for such as studies have.
    """

    methods: int = 4
    experiments: int = 2
    parts: Sequence[int] = (1, 10)
    replicates: int = 5
    layers: int = 4
    reduced: bool = False
    points_only: bool = False
    kl_scale: float = 0.1
    name_length: int = 0


FULL = Shape(methods=3, experiments=1, parts=(1, 3), replicates=4, layers=1)
"""A whole study, on which every verdict occurs."""
REDUCED = Shape(methods=1, experiments=1, parts=(1,), replicates=1, reduced=True, points_only=True)
"""The smallest one, of a point estimate, with a reduced budget."""


def lengthened(shape: Shape, name: str) -> str:
    """Return a name of the shape's length, which differs from others where they differ."""
    words = f"{name} as it was trained with a schedule and a prior of its own "
    return (words * (1 + shape.name_length // len(words)))[: shape.name_length].strip() or name


def made_study(shape: Shape, **changes) -> Study:
    """Return a study in its resolved form, with keys of the JSON form replaced."""
    return study_of(plain_made_study(shape) | changes)


def plain_made_study(shape: Shape) -> dict:
    """Return the JSON values of a study in its resolved form; what is absent has its default."""
    methods = {
        f"m{place}": {
            "label": lengthened(shape, LABELS[place]),
            "reading": "corrected",
            "family": {"kind": "point" if _is_point(shape, place) else "ffg"},
            "prior": {"kind": "normal", "sigma": None},
            "inference": {"kind": "vi"},
            "training": {},
            "objective": {},
        }
        for place in range(shape.methods)
    }
    budgets = {"quick": {"replicates": shape.replicates, "training": {"epochs": EPOCHS}}}
    return {
        "study": "made",
        "study_id": "made-quick" if shape.reduced else "made",
        "title": lengthened(shape, "Made numbers <b>that</b> measure nothing & only look real"),
        "seed": 2018,
        "data_root": "data",
        "replicates": shape.replicates,
        "replicates_per_block": shape.replicates,
        "budget": "quick" if shape.reduced else "full",
        "reduced": shape.reduced,
        "training": {"epochs": EPOCHS, "batch_size": 32, "learning_rate": 1e-3, "plateau": None},
        "objective": {"kl_scale": shape.kl_scale, "beta": "uniform", "likelihood": "sum"},
        "evaluation": {
            "samples": 100,
            "part_images": 1000,
            "test_images": "all",
            "calibration_bins": 10,
        },
        "experiments": _experiments(shape, list(methods)),
        "methods": methods,
        "budgets": budgets,
        "only": None,
        "tune": None,
        "tuned": None,
    }


def _experiments(shape: Shape, methods: list[str]) -> dict:
    return {
        f"e{place}": {
            "title": lengthened(
                shape,
                f"Digits {place} in parts" + (", pretrained on the others" if place else ""),
            ),
            "dataset": {"kind": "digits"},
            "model": {"kind": "digits_net"},
            "pixels": {"kind": "standard", "statistics": "first", "mean": None, "std": None},
            "likelihood": {"kind": "categorical"},
            "parts": list(shape.parts),
            "replicates": shape.replicates,
            "partition": {"stratify": False, "fraction": 1.0, "source_classes": None},
            "pretrain": None,
            "methods": list(methods),
            "training": {},
            "objective": {},
            "settings": {},
        }
        for place in range(shape.experiments)
    }


def made_context(shape: Shape) -> FigureContext:
    """Return the context of `made_study`, made by hand."""
    study = made_study(shape)
    return FigureContext(
        study=study.study_id,
        title=study.title,
        methods={name: method.label for name, method in study.methods.items()},
        experiments={name: e.title for name, e in study.experiments.items()},
        budget=study.budget,
        reduced=shape.reduced,
        kl_scales={
            (experiment, method): shape.kl_scale
            for experiment in study.experiments
            for method, description in study.methods.items()
            if description.family.kind != "point"
        },
        scored_shares={
            (experiment, method): 1.0
            for experiment in study.experiments
            for method in study.methods
        },
        layer_types=dict.fromkeys(study.experiments, ("conv", "conv", "dense", "dense")),
    )


def made_claims(shape: Shape) -> dict:
    """Return claims on the first experiment, as `claims_of_plain` takes them.

    With three methods, T = 1, 3 and four replicates every verdict occurs on the numbers of
    `made_frames`; a study of one method gets one claim.
    """
    first, better, worse = (
        {
            "experiment": "e0", "method": f"m{place}", "T": shape.parts[-1], "t": shape.parts[-1],
            "predictor": "predictive", "split": "test", "reported": None,
            "kl_scale": None if _is_point(shape, place) else shape.kl_scale,
        }
        for place in range(3)
    )  # fmt: skip
    claim = {
        "paper": "A paper (2018) & its <i>appendix</i>",
        "place": "§3, Figure 1",
        "metric": "accuracy",
        "level": 0.05,
        "figure": "accuracy_by_parts",
    }
    within = {"kind": "equivalent", "margin": 0.02, "reason": "two standard errors"}
    any_counts = {"by": 0.0, "reason": "any difference counts"}
    greater, less = {"kind": "greater", **any_counts}, {"kind": "less", **any_counts}
    known = claim | {
        "sentence": "A method reaches 97 %.",
        "relation": within,
        "groups": [first if shape.methods == 1 else better, {"constant": 0.97}],
        "place": None,
    }
    if shape.methods == 1:
        return {"near_known": known}
    return {
        "near_known": known,
        "falls_behind": claim
        | {
            "sentence": "When data arrive in parts, fine-tuning falls behind the other methods.",
            "relation": less,
            "groups": [first, better | {"reported": 0.985}, worse],
        },
        "surer": claim
        | {
            "sentence": "Fine-tuning predicts better than FFG.",
            "metric": "nll",
            "relation": less,
            "groups": [first, better],
            "figure": "stages",
        },
        "early": claim
        | {
            "sentence": "After the first part FFG is ahead on it.",
            "metric": "brier",
            "relation": greater,
            "groups": [group | {"t": 1, "split": "part_01"} for group in (better, worse)],
            "figure": None,
        },
        "absent": claim
        | {
            "sentence": "In six parts nothing changes.",
            "relation": within,
            "groups": [better | {"T": 6, "t": 6}, better],
        },
    }


def made_ledger(shape: Shape, folder: Path) -> Ledger:
    """Return the ledger of the made claims, through its files."""
    files = folder / "claims.json", folder / "claims.csv"
    claims = claims_of_plain(made_claims(shape))
    write_ledger(judge(claims, made_frames(shape).records, shape.reduced), *files)
    return read_ledger(*files)


def made_frames(shape: Shape, seed: int = 0) -> Frames:
    """Return records, training and calibration of every stage of the study."""
    rng = np.random.default_rng(seed)
    records, training, calibration = [], [], []
    for stage in _stages(shape):
        skill = _skill(stage, rng)
        records += _records(stage, skill, shape, rng)
        training += _training(stage, skill, shape, rng)
        calibration += _calibration(stage, skill, shape, rng)
    return Frames(pd.DataFrame(records), pd.DataFrame(training), pd.DataFrame(calibration))


def _is_point(shape: Shape, place: int) -> bool:
    return shape.points_only or LABELS[place].startswith("Fine-tuning")


def _stages(shape: Shape):
    """Yield what identifies each replicate of each stage."""
    study = made_study(shape)
    for experiment in study.experiments:
        for method, description in study.methods.items():
            for parts in shape.parts:
                for t in range(1, parts + 1):
                    for replicate in range(shape.replicates):
                        yield {
                            "study": study.study_id,
                            "experiment": experiment,
                            "method": method,
                            "family": description.family.kind,
                            "T": parts,
                            "t": t,
                            "replicate": replicate,
                        }


def _skill(stage: dict, rng: np.random.Generator) -> float:
    """Return the test accuracy: rises with the data seen, less so for a point estimate."""
    place, seen = int(stage["method"][1:]), stage["t"] / stage["T"]
    loss = 0.012 + 0.003 * place + 0.05 * int(stage["experiment"][1:])
    if stage["family"] == "point":
        loss += 0.012 * (stage["T"] > 1)
    return float(1 - loss * (1 + 1.6 * (1 - seen)) * rng.lognormal(0, 0.09))


def _records(stage: dict, skill: float, shape: Shape, rng: np.random.Generator) -> list[dict]:
    budget = "quick" if shape.reduced else "full"
    rows = []
    splits = {"test": skill}
    for part in range(1, stage["t"] + 1):
        age = stage["t"] - part
        splits[f"part_{part:02d}"] = skill + (1 - skill) * 0.97 * np.exp(-0.45 * age)
    predictors = ["predictive"] + ["mean"] * (stage["family"] != "point")
    for split, accuracy in splits.items():
        for predictor in predictors:
            error = (1 - accuracy) * (1.0 if predictor == "predictive" else 1.06)
            over = 5.0 if stage["family"] == "point" else 3.2
            values = {
                "accuracy": 1 - error,
                "nll": over * error * rng.lognormal(0, 0.05),
                "brier": 1.5 * error,
                "ece": 0.4 * error,
            }
            if split == "test":
                several = stage["family"] != "point" and predictor == "predictive"
                values |= certainty(error, over, several)
            rows += [
                {
                    **stage,
                    "split": split,
                    "predictor": predictor,
                    "metric": metric,
                    "value": float(value),
                    "budget": budget,
                }
                for metric, value in values.items()
            ]
    return rows + outlier_records(stage, skill, budget) + shift_records(stage, skill, budget)


def _training(stage: dict, skill: float, shape: Shape, rng: np.random.Generator) -> list[dict]:
    images = 1000 // stage["T"]
    # The second replicate stops early, as with a plateau.
    epochs = EPOCHS - 3 if stage["replicate"] == 1 else EPOCHS
    rows = []
    for epoch in range(1, epochs + 1):
        start = 2.3 if stage["t"] == 1 else 0.4
        nll = start * np.exp(-epoch / 2.5) + 3 * (1 - skill) * rng.lognormal(0, 0.03)
        row = {key: stage[key] for key in ("study", "experiment", "method", "T", "t")}
        row |= {"replicate": stage["replicate"], "epoch": epoch}
        row |= {"images": images, "elbo": -images * nll, "nll": nll}
        if stage["family"] != "point":
            kl = {
                f"kl/{layer}": 400.0 * (place + 1) / stage["t"] ** 1.5 * rng.lognormal(0, 0.1)
                for place, layer in enumerate(LAYERS[: shape.layers])
            }
            ratios = {
                f"sigma_ratio/{layer}": (1 - 0.5 / (place + 1) / stage["t"])
                * rng.lognormal(0, 0.02)
                for place, layer in enumerate(LAYERS[: shape.layers])
            }
            total = sum(kl.values())
            row |= {
                "kl": total,
                **kl,
                "sigma_ratio": float(np.mean(list(ratios.values()))),
                **ratios,
            }
            row["elbo"] -= shape.kl_scale * total
        rows.append(row | {"gradient_norm": 1.0, "learning_rate": 1e-3})
    return rows


def _calibration(stage: dict, skill: float, shape: Shape, rng: np.random.Generator) -> list[dict]:
    bins, images = 10, 10_000
    shares = np.array([0, 0.0002, 0.0004, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.9394])
    counts = rng.multinomial(images, shares)
    rows = []
    for index, count in enumerate(counts):
        lower, upper = index / bins, (index + 1) / bins
        confidence = (lower + upper) / 2 if index < bins - 1 else 0.995
        bias = -0.08 if stage["family"] == "point" else -0.02
        accuracy = float(np.clip(confidence + bias + rng.normal(0, 0.3 / np.sqrt(count + 1)), 0, 1))
        rows.append(
            {
                **stage,
                "split": "test",
                "predictor": "predictive",
                "bin": index,
                "lower": lower,
                "upper": upper,
                "count": int(count),
                "confidence": confidence if count else np.nan,
                "accuracy": accuracy if count else np.nan,
            }
        )
    return rows
