"""What went wrong in a study without an error, and what to try: lines for its report and its run.

Pure: knows records, how training went and the settings of a study; reads no file.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from incbayes.figures.rows import final_stage, select_metric
from incbayes.kinds import METRICS
from incbayes.report.tables import number
from incbayes.study.chains import chosen_experiments
from incbayes.study.checks.experiments import target_size
from incbayes.study.datasets import data_constraints
from incbayes.study.model import Experiment, MethodSettings, Study
from incbayes.study.settings import method_settings
from incbayes.study.tables import is_number

CHANCE, BEHIND, RESTLESS, NARROW, FLATTERED = "chance", "behind", "restless", "narrow", "flattered"
UNTEMPERED = "untempered"
"""Kinds of advice, in the order of the lines."""

GUESS = 0.1
"""A method is at chance whose accuracy is no further from a guess's than this share of the way to
100 %, or whose RMSE is no further from that of the mean than this share of the way to 0."""

FAR = 0.5
"""A method is far behind that comes less than this share of the way from a guess to the best."""

SURE = 0.05
"""An expected calibration error below this looks good."""

EPOCHS = 4
"""A stage of fewer is not judged at rest or not."""

SPEED = 0.5
"""A stage has not come to rest whose bound rises, a step of the learning rate's size, in its second
half faster than this share of its mean speed over the stage, …"""

RISE = 0.05
"""… and by more than this in that half, in nats per image."""

MOVED = 0.1
"""σ has not moved whose logarithm ends a first stage nearer than this to where it started."""

SAMPLED = frozenset({"vi", "function", "shrink_perturb", "cumulative"})
"""Algorithms that train log σ by gradients, from the family's `initial_sigma`."""

Tried = tuple[str, int]
"""A method and T."""


@dataclass(frozen=True)
class Advice:
    """Something to look after before the numbers of some chains are believed.

    Attributes:
        kind: one of this module's kinds.
        experiment: name of the experiment.
        line: what was found, of which methods, and what to try, in words.
    """

    kind: str
    experiment: str
    line: str


def advise(
    study: Study,
    records: pd.DataFrame,
    training: pd.DataFrame,
    spreads: Mapping[str, float],
) -> list[Advice]:
    """Return what is to be looked after in a study, a line for each kind and experiment.

    Args:
        study: in its resolved form.
        records: of the test set and others, as `collect.collect_records` returns them.
        training: as `collect.collect_training` returns it.
        spreads: of experiments whose target is a number, its standard deviation over training
            rows, about the RMSE of who always says the mean. One that is absent, and how far its
            methods come, is not judged.
    """
    found: list[Advice] = []
    for name, experiment in chosen_experiments(study).items():
        chains = _Chains(study, name, experiment)
        of_training = training[training["experiment"] == name]
        of_records = records[records["experiment"] == name]
        guess = spreads.get(name) if chains.of_number else 1 / chains.classes
        if guess:
            poor, lines = _poor(chains, of_records, guess)
            found += [*lines, *_flattered(chains, of_records, poor)]
        found += [*_restless(chains, of_training), *_narrow(chains, of_training)]
        found += _untempered(chains, of_records)
    order = [CHANCE, BEHIND, RESTLESS, NARROW, FLATTERED, UNTEMPERED]
    return sorted(found, key=lambda advice: order.index(advice.kind))


@dataclass(frozen=True)
class _Chains:
    """The chains of an experiment, by their words and settings."""

    study: Study
    name: str
    experiment: Experiment

    @property
    def of_number(self) -> bool:
        """Whether the target is a number."""
        return is_number(self.experiment.dataset)

    @property
    def classes(self) -> int:
        """How many classes the task that is scored has."""
        return target_size(self.experiment, data_constraints(self.experiment.dataset))

    def settings(self, method: str) -> MethodSettings:
        """Return all settings of a method."""
        return method_settings(self.study, self.name, method)

    def label(self, method: str) -> str:
        """Return the label of a method."""
        return self.study.methods[method].label

    @property
    def perfect(self) -> float:
        """The best accuracy, or the best RMSE."""
        return 0.0 if self.of_number else 1.0

    def words(self, method: str, parts: int) -> str:
        """Return what a chain is."""
        return f"{self.label(method)} (T = {parts})"

    def means(self, records: pd.DataFrame, metric: str) -> dict[Tried, float]:
        """Return the mean over replicates of a metric of the test set after the last stage."""
        final = final_stage(select_metric(records, metric))
        means = final.groupby(["method", "T"])["value"].mean()
        return {
            (method, T): float(means[method, T])
            for method in self.experiment.methods
            for T in self.counts(final)
            if (method, T) in means
        }

    @staticmethod
    def counts(frame: pd.DataFrame) -> list[int]:
        """Return the numbers of parts T that occur, in order."""
        return sorted({int(T) for T in frame["T"]})

    def advice(self, kind: str, what: str, tried: Sequence[str]) -> Advice:
        """Return an advice of what was found and what to try: first of all the whole study."""
        title = self.experiment.title
        if self.study.reduced:
            tried = [f"the whole study first, as this is its budget `{self.study.budget}`"]
        return Advice(kind, self.name, f"{title}: {what}. Try {' or '.join(tried)}.")

    def more_epochs(self, methods: Iterable[str]) -> str:
        """Return the advice to train for longer, with what the methods have."""
        return f"more `training.epochs` (now {_listed(self, methods, 'training', 'epochs')})"

    def less_kl(self, methods: Iterable[str]) -> str | None:
        """Return the advice to weigh the KL less; None where no method has one."""
        chosen = [m for m in methods if "initial_sigma" in self.settings(m).family.options]
        chosen = [m for m in chosen if self.settings(m).objective.kl_scale > 0]
        if not chosen:
            return None
        now = _listed(self, chosen, "objective", "kl_scale")
        return f"a tenth of `objective.kl_scale` (now {now})"


def _listed(chains: _Chains, methods: Iterable[str], section: str, key: str) -> str:
    values: list[Any] = [getattr(getattr(chains.settings(m), section), key) for m in methods]
    return ", ".join(f"{value:g}" for value in dict.fromkeys(values))


def _poor(chains: _Chains, records: pd.DataFrame, guess: float) -> tuple[list[Tried], list[Advice]]:
    """Return the chains that predict no better than a guess, or far worse than another; with lines.

    Args:
        chains: of the experiment.
        records: of the experiment.
        guess: accuracy of one who says any class, or RMSE of one who always says the mean.
    """
    metric = METRICS["rmse" if chains.of_number else "accuracy"]
    means = chains.means(records, "rmse" if chains.of_number else "accuracy")
    skill = {chain: (value - guess) / (chains.perfect - guess) for chain, value in means.items()}
    best = {T: max(skill[m, of] for m, of in skill if of == T) for _, T in skill}
    chance = [chain for chain in skill if skill[chain] < GUESS]
    behind = [c for c in skill if c not in chance and skill[c] < FAR * best[c[1]]]

    def written(value: float) -> str:
        text = number(metric.factor * value, metric.decimals)
        return text if chains.of_number else f"{text} %"

    def line(kind: str, some: Sequence[Tried], than: str) -> Advice:
        values = [f"{chains.words(*chain)} {written(means[chain])}" for chain in some]
        methods = [method for method, _ in some]
        tried = [chains.less_kl(methods), chains.more_epochs(methods)]
        said = f"{than}; {metric.title} of {'; '.join(values)}"
        return chains.advice(kind, said, [text for text in tried if text])

    lines = []
    if chance:
        rival = "always saying the mean" if chains.of_number else "a guess"
        lines.append(line(CHANCE, chance, f"hardly better than {rival} ({written(guess)})"))
    if behind:
        tops = {T: next(c for c in skill if c[1] == T and skill[c] == best[T]) for _, T in behind}
        named = "; ".join(f"{chains.words(*c)} {written(means[c])}" for c in tops.values())
        lines.append(line(BEHIND, behind, f"far behind the best method ({named})"))
    return [*chance, *behind], lines


def _restless(chains: _Chains, training: pd.DataFrame) -> list[Advice]:
    """Return advice on stages whose bound still rose at much of its speed when they ended."""
    moving: dict[Tried, list[int]] = {}
    for (method, parts, t), stage in training.groupby(["method", "T", "t"], sort=True):
        if method in chains.experiment.methods and still_rises(stage, chains.settings(method)):
            moving.setdefault((method, parts), []).append(t)
    if not moving:
        return []
    ordered = sorted(moving, key=lambda c: (chains.experiment.methods.index(c[0]), c[1]))
    named = [f"{chains.words(*c)} {_stages(moving[c], c[1])}" for c in ordered]
    methods = list(dict.fromkeys(method for method, _ in ordered))
    said = f"not at rest when the stage ended: {'; '.join(named)}"
    return [chains.advice(RESTLESS, said, [chains.more_epochs(methods)])]


def still_rises(stage: pd.DataFrame, settings: MethodSettings) -> bool:
    """Return whether the bound of a stage still rose when it ended, on average over replicates.

    Compared are speeds, a rise of the bound over the sum of learning rates meanwhile: that of the
    second half of the stage with that of the whole. A schedule that leads to a rate of 0 ends with
    small gains, at rest or not; in speed it shows which. While the KL's weight rises bounds cannot
    be compared; those epochs do not count.

    Args:
        stage: rows of training.csv.
        settings: of the method.
    """
    training, warmup = settings.training, settings.objective.warmup_epochs
    per_image = stage.assign(elbo=stage["elbo"] / stage["images"])
    bound = per_image.groupby("epoch")["elbo"].mean().sort_index()
    bound = bound[bound.index >= max(1, warmup)]
    if len(bound) < EPOCHS or stage.groupby("replicate")["epoch"].max().nunique() > 1:
        return False
    rates = per_image.groupby("epoch")["learning_rate"].mean()
    last = training.epochs
    if training.plateau is not None and bound.index[-1] < last:
        return False
    middle = bound.index[(len(bound) - 1) // 2]
    first, end = bound.index[0], bound.index[-1]

    def travelled(begin: int) -> float:
        """Return the sum of rates from the end of an epoch to that of the stage."""
        return float(rates.loc[begin : end - 1].sum())

    late = bound.loc[end] - bound.loc[middle]
    mean_speed = (bound.loc[end] - bound.loc[first]) / travelled(first)
    return bool(late > RISE and late / travelled(middle) > SPEED * mean_speed)


def _stages(found: Sequence[int], parts: int) -> str:
    """Return which stages, e.g. `in stages 1 to 3`."""
    if len(found) == 1:
        return f"in stage {found[0]}"
    if found[-1] - found[0] == len(found) - 1:
        return f"in stages {found[0]} to {found[-1]}"
    return f"in {len(found)} of {parts} stages"


def _narrow(chains: _Chains, training: pd.DataFrame) -> list[Advice]:
    """Return advice on methods whose σ ended the first stage where it started."""
    if "sigma_ratio" not in training:
        return []
    stuck: dict[Tried, tuple[float, float]] = {}
    for (method, parts), stage in training[training["t"] == 1].groupby(["method", "T"], sort=True):
        if method not in chains.experiment.methods:
            continue
        settings = chains.settings(method)
        options = settings.family.options
        started = options.get("initial_sigma")
        drawn = options.get("initialisation", "prior_scaled") != "prior_scaled"
        trained = settings.inference.kind in SAMPLED and settings.prior.kind != "posterior"
        if started is None or drawn or not trained:
            continue
        last = stage.loc[stage.groupby("replicate")["epoch"].idxmax(), "sigma_ratio"]
        ended = last.mean()
        if ended > 0 and abs(math.log(ended / started)) < MOVED:
            stuck[method, parts] = (started, ended)
    if not stuck:
        return []
    ordered = sorted(stuck, key=lambda c: (chains.experiment.methods.index(c[0]), c[1]))
    named = [f"{chains.words(*c)} {stuck[c][1]:.3g}, begun at {stuck[c][0]:g}" for c in ordered]
    methods = list(dict.fromkeys(method for method, _ in ordered))
    rates = _listed(chains, methods, "training", "log_sigma_rate")
    said = f"σ has not moved in the first stage, as a multiple of the prior's: {'; '.join(named)}"
    tried = [f"a larger `training.log_sigma_rate` (now {rates})", chains.more_epochs(methods)]
    return [chains.advice(NARROW, said, tried)]


def _flattered(chains: _Chains, records: pd.DataFrame, poor: Sequence[Tried]) -> list[Advice]:
    """Return advice on a calibration that is good since predictions hardly depend on the input."""
    name = "coverage_90" if chains.of_number else "ece"
    metric = METRICS[name]
    means = chains.means(records, name)
    target = metric.nominal if metric.better == "nominal" else 0.0
    some = [chain for chain in poor if chain in means and abs(means[chain] - target) < SURE]
    if not some:
        return []
    values = [
        f"{chains.words(*chain)} {number(metric.factor * means[chain], metric.decimals)} %"
        for chain in some
    ]
    one = "row" if chains.of_number else "image"
    same = "the distribution of the target" if chains.of_number else "how frequent each class is"
    said = (
        f"{metric.title} looks good, but of predictions that hardly tell one {one} from another: "
        f"{'; '.join(values)}. To say always {same} would be calibrated, too"
    )
    return [chains.advice(FLATTERED, said, ["what makes the method learn, and judge it by NLL"])]


def _untempered(chains: _Chains, records: pd.DataFrame) -> list[Advice]:
    """Return advice on methods of which no temperature could be fitted, and stayed at 1.

    Both scores are then the same number. A temperature that is fitted is never exactly 1.
    """
    if not chains.experiment.partition.is_calibrated:
        return []
    final = final_stage(records)
    on = ["method", "T", "replicate"]
    both = select_metric(final, "nll").merge(select_metric(final, "nll_tempered"), on=on)
    same = both.assign(same=both["value_x"] == both["value_y"]).groupby(["method", "T"])["same"]
    counts = {chain: (int(found.sum()), len(found)) for chain, found in same if found.any()}
    if not counts:
        return []
    ordered = sorted(counts, key=lambda c: (chains.experiment.methods.index(c[0]), c[1]))
    named = [f"{chains.words(*c)} in {counts[c][0]} of {counts[c][1]} replicates" for c in ordered]
    said = (
        "no temperature could be fitted, as every image held out for it is predicted rightly, and "
        f"`nll_tempered` is `nll`: {'; '.join(named)}"
    )
    share = chains.experiment.partition.calibration
    return [chains.advice(UNTEMPERED, said, [f"a larger `partition.calibration` (now {share:g})"])]
