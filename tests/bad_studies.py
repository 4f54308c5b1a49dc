"""Studies with a mistake, and the line that each ends in."""

import datetime

import pytest
from bad_budgets import BAD_BUDGETS
from small_study import GONE, HALVES, PLAIN

from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError


def refusal(raw):
    """Return the text of the error of a study, which is one line."""
    with pytest.raises(StudyError) as caught:
        resolve_study(raw)
    text = str(caught.value)
    assert text and len(text.splitlines()) == 1 and text.isprintable()
    return text


BAD = [
    # Unknown keys, with the nearest spelling.
    ("replicate", 3, "replicate: unknown key (did you mean 'replicates'?); allowed: study, title"),
    ("claim", {}, "claim: unknown key (did you mean 'claims'?); allowed: study, title"),
    ("training.epoch", 3, "training.epoch: unknown key (did you mean 'epochs'?); allowed: epochs"),
    ("objective.klscale", 1, "objective.klscale: unknown key (did you mean 'kl_scale'?)"),
    ("evaluation.sample", 1, "evaluation.sample: unknown key (did you mean 'samples'?)"),
    (f"{PLAIN}.datset", "digits", f"{PLAIN}.datset: unknown key (did you mean 'dataset'?)"),
    (f"{PLAIN}.training.budget", 1, f"{PLAIN}.training.budget: unknown key"),
    (f"{PLAIN}.partition.strat", True, f"{PLAIN}.partition.strat: unknown key (did you mean 's"),
    (f"{HALVES}.pretrain.epochs", 1, f"{HALVES}.pretrain.epochs: unknown key; allowed: training"),
    ("methods.ffg.famly", "ffg", "methods.ffg.famly: unknown key (did you mean 'family'?)"),
    ("training.plateau", {"patience": 1, "delta": 0}, "training.plateau.delta: unknown key"),
    # Mean and standard deviation of pixels, given.
    (
        f"{PLAIN}.pixels",
        {"kind": "standard", "mean": [0.1]},
        f"{PLAIN}.pixels.std: lacks, though mean is given; give both, or leave both out",
    ),
    (
        f"{PLAIN}.pixels",
        {"kind": "standard", "std": [0.1]},
        f"{PLAIN}.pixels.mean: lacks, though std is given; give both, or leave both out",
    ),
    (
        f"{PLAIN}.pixels",
        {"kind": "standard", "mean": [0.1] * 3, "std": [0.1]},
        f"{PLAIN}.pixels.mean: found 3 numbers; the images of digits have 1 channel: give one for",
    ),
    (
        f"{PLAIN}.pixels",
        {"kind": "standard", "mean": [0.1], "std": [0]},
        f"{PLAIN}.pixels.std",
    ),
    (
        f"{PLAIN}.pixels",
        {"kind": "standard", "statistics": "all", "mean": [0.1], "std": [0.1]},
        f"{PLAIN}.pixels.statistics: found 'all' beside a given mean and std; leave one out",
    ),
    # What carries over from the source task.
    (
        "methods.ffg_laplace.prior",
        {"kind": "laplace", "transfer": "dense"},
        "methods.ffg_laplace.prior.transfer: found 'dense'; allowed: all_but_output, convol",
    ),
    # Missing keys.
    ("study", GONE, "study: missing; allowed: text (lower-case letters"),
    ("experiments", GONE, "experiments: missing; allowed: a mapping"),
    ("methods", GONE, "methods: missing; allowed: a mapping"),
    (f"{PLAIN}.dataset", GONE, f"{PLAIN}.dataset: missing; allowed: a data set, by name or as"),
    (f"{PLAIN}.parts", GONE, f"{PLAIN}.parts: missing; allowed: a list (1 or more"),
    ("methods.ffg", {"prior": "normal"}, "methods.ffg.family: missing; allowed: a family, by na"),
    ("methods.ffg.family", {"estimator": "local"}, "methods.ffg.family.kind: missing; allowed: p"),
    ("training.plateau", {"patience": 1}, "training.plateau.min_delta: missing; allowed: a numb"),
    (
        "only",
        ["plian"],
        "only[0]: 'plian' is no experiment (did you mean 'plain'?); allowed: plain",
    ),
    (
        "only",
        ["plain", "plain.fgf"],
        "only[1]: 'fgf' is no method of plain (did you mean 'ffg'?); allowed: ft, ffg",
    ),
    (
        "only",
        ["plain.ffg.T3"],
        "only[0]: 'T3' is no number of parts of plain; allowed: T1, T5",
    ),
    ("only", ["plain.ffg.10"], "only[0]: found 'plain.ffg.10'; allowed: text (EXPERIMENT, EXP"),
    ("only", [], "only: found []; allowed: null or a list (1 or more"),
    # Names.
    ("study", 2018, "study: found 2018; allowed: text (lower-case letters, digits and _"),
    ("study", "My study", "study: found 'My study'; allowed: text (lower-case letters"),
    ("study", "small\n", "study: found 'small\\n'; allowed: text (lower-case letters"),
    ("study", "../small", "study: found '../small'; allowed"),
    ("study", None, "study: found null; allowed: text"),
    ("methods.FFG", {"family": "ffg"}, "methods.FFG: not a name; allowed: text (lower-case"),
    ("methods.a b", {"family": "ffg"}, "methods.'a b': not a name; allowed: text (lower-case"),
    ("experiments.5plus5", {}, "experiments.5plus5: not a name; allowed"),
    ("budgets.Quick", {}, "budgets.Quick: not a name; allowed"),
    ("title", "two\nlines", "title: found 'two\\nlines'; allowed: text (one line, not em"),
    ("methods.ffg.label", "", "methods.ffg.label: found ''; allowed: text (one line"),
    ("study", "ab_" * 21 + "cd", "study: found 'ab_ab_ab"),
    (f"experiments.{'x' * 20}", {}, "experiments.xxxxxxxxxxxxxxxxxxxx: not a name; allowed: text"),
    (f"methods.{'abc' * 20}", {"family": "ffg"}, "abc: not a name; allowed: text (lower-case"),
    ("study", "data", "study: found 'data'; results/data holds the data sets of all studies: cho"),
    ("study", "published", "study: found 'published'; results/published holds what full runs me"),
    (
        "experiments.logs",
        {"dataset": "digits", "model": "mlp", "parts": [1], "methods": ["ffg"]},
        "experiments.logs: results/small/logs holds other files: choose another name",
    ),
    # What YAML 1.1 makes of no, of dates and of numbers.
    (
        "methods",
        {False: {"family": "ffg"}},
        "methods: found the key false (YAML 1.1 reads an unquoted",
    ),
    ("experiments", {5: {}}, "experiments: found the key 5; a key is text: quote it"),
    (f"{PLAIN}.methods[0]", False, f"{PLAIN}.methods[0]: found false (YAML 1.1 reads"),
    ("title", datetime.date(2018, 2, 1), "title: found datetime.date(2018, 2, 1) (date); allow"),
    ("replicates", "3", "replicates: found '3' (text); allowed: a whole number of at least 1"),
    ("training.learning_rate", "1e-3x", "training.learning_rate: found '1e-3x' (text); allowed:"),
    # Types and limits.
    ("experiments", [], "experiments: found []; allowed: a mapping"),
    ("experiments", {}, "experiments: empty; at least one entry is needed"),
    ("methods", {}, "methods: empty; at least one entry is needed"),
    ("methods.ffg", None, "methods.ffg: found null; allowed: a mapping"),
    ("seed", -1, "seed: found -1; allowed: a whole number of at least 0"),
    ("seed", True, "seed: found true; allowed: a whole"),
    ("seed", 2**70, "seed: found 1180591620717411303424; allowed: a whole number of at least 0"),
    ("data_root", 5, "data_root: found 5; allowed: text (one line, not empty"),
    ("data_root", "", "data_root: found ''; allowed: text (one line, not empty"),
    ("replicates", 0, "replicates: found 0; allowed: a whole number of at least 1"),
    ("replicates", 2.5, "replicates: found 2.5; allowed: a whole number of at least 1"),
    ("replicates", "many", "replicates: found 'many' (text); allowed: a whole number"),
    ("training", 3, "training: found 3; allowed: a mapping"),
    ("training.epochs", True, "training.epochs: found true; allowed: a whole n"),
    ("training.learning_rate", 0, "training.learning_rate: found 0; allowed: a number of at least"),
    ("training.learning_rate", float("nan"), "training.learning_rate: found nan; allowed: a nu"),
    ("training.learning_rate", 10**400, "training.learning_rate: found a number of 1329 bits;"),
    ("objective.kl_scale", float("inf"), "objective.kl_scale: found inf; allowed: a number of a"),
    ("objective.kl_scale", -0.1, "objective.kl_scale: found -0.1; allowed: a number of at lea"),
    ("training.schedule", "cosin", "training.schedule: found 'cosin' (did you mean 'cosi"),
    ("training.precision", 16, "training.precision: found 16; allowed: fp32, bf16"),
    ("machine.device", "cud", "machine.device: found 'cud' (did you mean 'cuda'?); allowed: auto"),
    ("machine.checkpoint_seconds", 0, "machine.checkpoint_seconds: found 0; allowed: a number g"),
    ("training.plateau", True, "training.plateau: found true; allowed: null or a mapp"),
    ("training.plateau", {"patience": 0, "min_delta": 0}, "training.plateau.patience: found 0;"),
    ("evaluation.part_images", 0, "evaluation.part_images: found 0; allowed: null or a whole "),
    ("methods.ffg.objective.kl_scale", "x", "methods.ffg.objective.kl_scale: found 'x' (text);"),
    (f"{HALVES}.pretrain.training.epochs", 0, f"{HALVES}.pretrain.training.epochs: found 0; al"),
    (f"{PLAIN}.partition.fraction", 1.5, f"{PLAIN}.partition.fraction: found 1.5; allowed: a nu"),
    (f"{PLAIN}.partition.stratify", "yes", f"{PLAIN}.partition.stratify: found 'yes' (text); al"),
    # Numbers that no study means, and that the arithmetic does not hold.
    (
        "replicates",
        1_000_000,
        "replicates: found 1000000; allowed: a whole number of at least 1 and",
    ),
    (f"{PLAIN}.replicates", 10_001, f"{PLAIN}.replicates: found 10001; allowed: a whole number of"),
    (
        "replicates_per_block",
        1e9,
        "replicates_per_block: found 1000000000.0; allowed: a whole numb",
    ),
    (
        "training.epochs",
        1e9,
        "training.epochs: found 1000000000.0; allowed: a whole number of at l",
    ),
    (
        "training.batch_size",
        1e9,
        "training.batch_size: found 1000000000.0; allowed: a whole number",
    ),
    ("training.learning_rate", 1e-40, "training.learning_rate: found 1e-40; allowed: a number of "),
    (
        "training.learning_rate",
        1e6,
        "training.learning_rate: found 1000000.0; allowed: a number of",
    ),
    (
        "training.log_sigma_rate",
        1e-30,
        "training.log_sigma_rate: found 1e-30; allowed: a number of",
    ),
    (
        "methods.ffg.training",
        {"epochs": 1e9},
        "methods.ffg.training.epochs: found 1000000000.0; al",
    ),
    (
        "objective.draws",
        1e9,
        "objective.draws: found 1000000000.0; allowed: a whole number of at l",
    ),
    (
        "objective.kl_scale",
        1e300,
        "objective.kl_scale: found 1e+300; allowed: a number of at least",
    ),
    ("evaluation.samples", 1e9, "evaluation.samples: found 1000000000.0; allowed: a whole number "),
    (
        "evaluation.calibration_bins",
        1e8,
        "evaluation.calibration_bins: found 100000000.0; allowed:",
    ),
    (
        "machine.checkpoint_seconds",
        1e300,
        "machine.checkpoint_seconds: found 1e+300; allowed: a nu",
    ),
    (
        "methods.ffg.prior",
        {"kind": "normal", "sigma": 1e200},
        "methods.ffg.prior.sigma: found 1e+2",
    ),
    (
        "methods.ffg.prior",
        {"kind": "normal", "sigma": 1e-30},
        "methods.ffg.prior.sigma: found 1e-3",
    ),
    ("methods.ffg.family.initial_sigma", 1e9, "methods.ffg.family.initial_sigma: found 10000000"),
    (
        "methods.ffg_grid.prior.variances[1]",
        1e-50,
        "prior.variances[1]: found 1e-50; allowed: a nu",
    ),
    (
        "methods.ft.family",
        {"kind": "point", "l2": 1e99},
        "methods.ft.family.l2: found 1e+99; allow",
    ),
    (
        f"{PLAIN}.model",
        {"kind": "mlp", "widths": [1e9]},
        f"{PLAIN}.model.widths[0]: found 10000000",
    ),
    (
        f"{PLAIN}.pixels",
        {"kind": "divide", "by": 1e-40},
        f"{PLAIN}.pixels.by: found 1e-40; allowed",
    ),
    (f"{PLAIN}.parts", [1, 10**6], f"{PLAIN}.parts[1]: found 1000000; allowed: a whole number of "),
    # Parts.
    (f"{PLAIN}.parts", 5, f"{PLAIN}.parts: found 5; allowed: a list (1 or more, each a whole"),
    (f"{PLAIN}.parts", [], f"{PLAIN}.parts: found []; allowed: a list (1 or more"),
    (f"{PLAIN}.parts", [1, 5, 1], f"{PLAIN}.parts[2]: 1 is given twice"),
    (f"{PLAIN}.parts", [1, 0], f"{PLAIN}.parts[1]: found 0; allowed: a whole number of at least"),
    (f"{PLAIN}.parts", [1, 1438], f"{PLAIN}.parts[1]: found 1438 parts of 1437 training images"),
    (
        f"{PLAIN}.partition.calibration",
        1.0,
        f"{PLAIN}.partition.calibration: found 1.0; allowed: a",
    ),
    (
        f"{PLAIN}.partition",
        {"fraction": 0.004, "calibration": 0.5},
        f"{PLAIN}.parts[1]: found 5 parts of 3 training images",
    ),
    (f"{PLAIN}.partition.fraction", 0.002, f"{PLAIN}.parts[1]: found 5 parts of 3 training ima"),
    (f"{PLAIN}.partition.fraction", 1e-9, f"{PLAIN}.partition.fraction: leaves no training im"),
    (f"{HALVES}.parts", [719], f"{HALVES}.parts[0]: found 719 parts of about 718 training images"),
    # Kinds and their options.
    ("methods.ffg.family", "fgf", "methods.ffg.family: unknown family 'fgf' (did you mean 'ffg'"),
    ("methods.ffg.family", {"kind": "fgf"}, "methods.ffg.family: unknown family 'fgf' (did you"),
    ("methods.ffg.family", 3, "methods.ffg.family: found 3; allowed: a family, by name or as {"),
    ("methods.ffg.family", {"kind": 3}, "methods.ffg.family: unknown family 3; known: point, ffg"),
    ("methods.ffg.family.sigma", 1, "methods.ffg.family.sigma: unknown option of family ffg; a"),
    ("methods.ffg.family.initial_sigma", 0, "methods.ffg.family.initial_sigma: found 0; allowed"),
    (
        "methods.ffg.family.estimator",
        "loc",
        "methods.ffg.family.estimator: found 'loc' (did you mean",
    ),
    ("methods.ffg.prior", "norml", "methods.ffg.prior: unknown prior 'norml' (did you mean 'no"),
    ("methods.ffg.prior", {"kind": "normal", "sigma": "a"}, "methods.ffg.prior.sigma: found 'a'"),
    ("methods.ffg_grid.prior.variances", [], "methods.ffg_grid.prior.variances: found []; allo"),
    ("methods.ffg_grid.prior.variances[1]", -1, "methods.ffg_grid.prior.variances[1]: found -1;"),
    (f"{PLAIN}.model", "lenet", f"{PLAIN}.model: unknown model 'lenet' (did you mean 'lenet5'?"),
    (f"{PLAIN}.model", {"kind": "mlp", "width": 9}, f"{PLAIN}.model.width: unknown option of mod"),
    (f"{PLAIN}.model", {"kind": "mlp", "widths": [0]}, f"{PLAIN}.model.widths[0]: found 0; allo"),
    (f"{PLAIN}.model", "lenet5", f"{PLAIN}.model: lenet5 needs images of at least 16x16 pixels;"),
    (f"{PLAIN}.dataset", "mnst", f"{PLAIN}.dataset: unknown data set 'mnst' (did you mean 'mni"),
    (f"{PLAIN}.dataset", {"kind": "digits", "a": 1}, f"{PLAIN}.dataset.a: unknown option of data"),
    (f"{PLAIN}.pixels", "by126", f"{PLAIN}.pixels: unknown pixel scaling 'by126'; known: stand"),
    (f"{PLAIN}.pixels", {"kind": "divide", "by": 0}, f"{PLAIN}.pixels.by: found 0; allowed: a n"),
    # Classes.
    (f"{HALVES}.partition.source_classes", 10, f"{HALVES}.partition.source_classes: found 10 ra"),
    (f"{HALVES}.partition.source_classes", [9, 10], f"{HALVES}.partition.source_classes[1]: cla"),
    (f"{HALVES}.partition.source_classes", [], f"{HALVES}.partition.source_classes: found []; al"),
    (f"{HALVES}.partition.source_classes", True, f"{HALVES}.partition.source_classes: found true"),
    (f"{HALVES}.partition.source_classes", [2, 2], f"{HALVES}.partition.source_classes[1]: 2 is"),
    (f"{HALVES}.partition.source_classes", list(range(10)), "source_classes: all the classes; no"),
    (f"{PLAIN}.partition.target_classes", [-1], f"{PLAIN}.partition.target_classes[0]: found -1"),
    (f"{PLAIN}.partition.target_classes", [10], f"{PLAIN}.partition.target_classes[0]: class 10"),
    (f"{HALVES}.partition.target_classes", list(range(6)), "source_classes: found 5 random clas"),
    (f"{PLAIN}.partition.target_classes", [3], "target_classes: found [3]; the target task has on"),
    (
        f"{PLAIN}.partition.source_classes",
        list(range(9)),
        "source_classes: found [0, 1, 2, 3, 4, 5",
    ),
    (
        f"{HALVES}.partition.source_classes",
        9,
        "source_classes: found 9 random classes; allowed: 1 t",
    ),
    (
        f"{HALVES}.partition",
        {"source_classes": 5, "target_classes": [1]},
        "target_classes: found [1",
    ),
    (
        f"{HALVES}.partition.source_classes",
        1,
        "source_classes: found 1; there is nothing to learn ",
    ),
    (
        f"{HALVES}.partition.source_classes",
        [3],
        "source_classes: found [3]; there is nothing to le",
    ),
    (
        f"{HALVES}.partition.source_fraction",
        1e-4,
        "source_fraction: leaves no training image: frac",
    ),
    # Between experiments and methods.
    (f"{PLAIN}.methods", [], f"{PLAIN}.methods: found []; allowed: a list (1 or more"),
    (f"{PLAIN}.methods", ["ft", "ft"], f"{PLAIN}.methods[1]: 'ft' is given twice"),
    (f"{PLAIN}.methods[1]", "fgf", f"{PLAIN}.methods[1]: unknown method 'fgf' (did you mean 'ffg"),
    (f"{PLAIN}.methods[0]", "ffg_grid", f"{PLAIN}.methods[0]: ffg_grid has the prior grid, whic"),
    (f"{PLAIN}.methods", GONE, f"{PLAIN}.methods[2]: ft_pretrained has the prior pretrained, wh"),
    (f"{HALVES}.pretrain", None, f"{HALVES}.methods[2]: ft_pretrained has the prior pretrained"),
    (f"{PLAIN}.pretrain", {}, f"{PLAIN}.pretrain: needs a source task to train on; give partiti"),
    (
        "methods.ffg.prior",
        "pretrained",
        "methods.ffg.prior: pretrained has no width, which the fam",
    ),
    ("methods.ft.prior", "laplace", "methods.ft.prior: laplace is a distribution, which the fam"),
    ("methods.ft_pretrained.prior", "grid", "methods.ft_pretrained.prior: grid is a distributio"),
    (
        "methods.ft.objective",
        {"complexity": "monte_carlo"},
        "methods.ft.objective.complexity: monte_carlo needs the density of a draw, which the fami",
    ),
    ("objective.complexity", "monte_carlo", "methods.ft.objective.complexity: monte_carlo needs"),
    (f"{PLAIN}.objective.complexity", "monte_carlo", "methods.ft.objective.complexity: monte_ca"),
    (
        "methods.ffg",
        {
            "family": {"kind": "ffg", "mean_scale": 2},
            "objective": {"complexity": "monte_carlo"},
        },
        "methods.ffg.objective.complexity: monte_carlo estimates the KL itself, and ffg weighs its",
    ),
    (
        "methods.ffg",
        {"family": {"kind": "ffg", "mean_scale": 2}, "inference": "ivon"},
        "methods.ffg.family.mean_scale: found 2, which ivon does not know; leave it out",
    ),
    *(
        (
            "methods.ffg",
            {"family": "ffg", "inference": "laplace", "objective": {key: value}},
            f"methods.ffg.objective.{key}: found '{value}', which laplace does not know; give",
        )
        for key, value in (("likelihood", "mean"), ("beta", "none"), ("batches", "whole_set"))
    ),
    (
        "methods.ffg",
        {"family": "ffg", "inference": {"kind": "laplace", "precision_decay": 0}},
        "methods.ffg.inference.precision_decay: found 0; allowed: a number greater than",
    ),
    (
        "methods.ffg.objective",
        {"warmup_epochs": 31},
        "methods.ffg.objective.warmup_epochs: found 31, but a stage has 30 epochs, so that the K",
    ),
    ("methods.ffg.label", "ft", f"{PLAIN}.methods[1]: ffg has the label of ft, 'ft'; give each"),
    *BAD_BUDGETS,
]
