"""Mistakes in the budgets of a study, and the line that each ends in; part of `bad_studies`."""

from small_study import PLAIN

BAD_BUDGETS = [
    ("budget", "quik", "budget: found 'quik' (did you mean 'quick'?); allowed: full, quick"),
    ("budget", 5, "budget: found 5; allowed: text"),
    ("budgets", ["quick"], "budgets: found ['quick']; allowed: a mapping"),
    ("budgets.quick", None, "budgets.quick: found null; allowed: a mapping"),
    ("budgets.full", {}, "budgets.full: this is the study as written"),
    ("budgets.quick.study", "other", "budgets.quick.study: a budget cannot change this key"),
    ("budgets.quick.budgets", {}, "budgets.quick.budgets: a budget cannot change this key"),
    ("budgets.quick.replicats", 1, "budgets.quick.replicats: unknown key (did you mean 'replica"),
    ("budgets.quick.training.epochs", 0, "budgets.quick.training.epochs: found 0; allowed: a wh"),
    ("budgets.quick.experiments.gone", None, "budgets.quick.experiments.gone: found null; allowed"),
    (
        "budgets.quick.experiments",
        {"plain": None},
        "budgets.quick.experiments.plain: found null; allowed: a mapping",
    ),
    (PLAIN, None, f"{PLAIN}: found null; allowed: a mapping"),
    ("budgets.quick.training", None, "budgets.quick.training: found null; allowed: a mapping"),
    ("budgets.quick.experiments.new", {"model": "mlp"}, "budgets.quick.experiments.new.dataset:"),
    (f"budgets.quick.{PLAIN}.parts", [1, 9999], f"budgets.quick.{PLAIN}.parts[1]: found 9999 par"),
    (f"budgets.quick.{PLAIN}.model", "lenet5", f"budgets.quick.{PLAIN}.model: lenet5 needs imag"),
    (
        f"budgets.quick.{PLAIN}.partition.fraction",
        0.002,
        f"{PLAIN}.parts[1]: found 5 parts of 3 training images (digits, 10 of 10 classes, "
        "fraction 0.002 of 1437); allowed: 1 to 3 (in the budget quick)",
    ),
]
