"""What settings hold for a method in an experiment, of all the places where a study may give them.

It knows the levels and which of them wins, and that changes of a method are checked as the
method itself is; it reads no file.
"""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from incbayes.core.registry import nearest
from incbayes.study.merging import Plain, merged
from incbayes.study.model import (
    Changes,
    EvaluationSettings,
    KindSpec,
    MethodSettings,
    ObjectiveSettings,
    Overrides,
    Section,
    Study,
    TrainingSettings,
    to_plain,
)
from incbayes.study.published_code import as_published
from incbayes.study.schema import check, expand, fill, kind_constraints, study_schema
from incbayes.study.yaml import KeyPath, StudyError

S = TypeVar("S", bound=Section)
Entry = TypeVar("Entry")

SECTIONS = tuple(
    key for key in MethodSettings.__struct_fields__ if key in Changes.__struct_fields__
)
"""What the settings of a method consist of that an experiment or a search may change."""

DESCRIBED = (
    *("dataset", "pixels", "model", "likelihood", "partition", "replicates"),
    *("outliers", "shifts"),
)
"""What the numbers of any method in an experiment depend on, where the experiment states it."""

PUBLISHED = "as_published"


def method_settings(study: Study, experiment: str, method: str) -> MethodSettings:
    """Return family, prior, inference, training and objective of a method, all complete.

    A key of the experiment's `settings` for the method wins over the method's own, that over the
    experiment's, and that over the study's; `reading: as_published` wins over all.

    Args:
        study: a study in normal form.
        experiment: name of one of its experiments.
        method: name of one of its methods.

    Raises:
        StudyError: there is no such experiment or method.
    """
    chosen = _entry(study.methods, "methods", method)
    described = _entry(study.experiments, "experiments", experiment)
    changes = described.settings.get(method, Changes())
    training = [described.training, chosen.training, changes.training]
    objective = [described.objective, chosen.objective, changes.objective]
    settings = MethodSettings(
        family=chosen.family.changed(changes.family or {}),
        prior=chosen.prior.changed(changes.prior or {}),
        inference=chosen.inference.changed(changes.inference or {}),
        training=_overridden(study.training, training),
        objective=_overridden(study.objective, objective),
        bayesian=chosen.bayesian,
        normalisation=chosen.normalisation,
        augmentation=described.augmentation,
    )
    return _as_published(settings) if chosen.reading == PUBLISHED else settings


def prior_option(prior: KindSpec, fact: str) -> Any:
    """Return the option of a prior that a fact of its kind names; None where it has no such fact.

    Args:
        prior: complete.
        fact: `fisher` for which Fisher information it needs, `variances` for the grid it is
            chosen from, `continues` for the posterior it goes on from.
    """
    option = kind_constraints("prior", prior.kind).get(fact)
    return None if option is None else prior.options[option]


def penalty_of(family: KindSpec) -> str | None:
    """Return the option of a family that penalises its weights; None where nothing does."""
    option = kind_constraints("family", family.kind).get("penalty")
    return option if option is not None and family.options.get(option) else None


def mean_scale_of(family: KindSpec) -> float:
    """Return what a family multiplies its KL's term in the means by; 1 where it does not."""
    option = kind_constraints("family", family.kind).get("mean_scale")
    return 1.0 if option is None else family.options.get(option, 1.0)


def is_drawn(family: KindSpec) -> bool:
    """Return whether draws from a family differ, so that several of them predict."""
    facts = kind_constraints("family", family.kind)
    return bool(facts.get("drawn", facts["bayesian"]))


def evaluation_settings(study: Study, method: str) -> EvaluationSettings:
    """Return how the posteriors of a method are evaluated.

    Raises:
        StudyError: there is no such method.
    """
    if _entry(study.methods, "methods", method).reading != PUBLISHED:
        return study.evaluation
    return replace(study.evaluation, **_switches("evaluation", study.evaluation))


def pretrain_training(study: Study, experiment: str) -> TrainingSettings:
    """Return the complete training settings of an experiment's source task.

    A key of `pretrain.training` wins over the experiment's, and that over the study's.

    Raises:
        StudyError: there is no such experiment, or it has no pretraining.
    """
    chosen = _entry(study.experiments, "experiments", experiment)
    if chosen.pretrain is None:
        raise StudyError(("experiments", experiment, "pretrain"), "there is none")
    return _overridden(study.training, [chosen.training, chosen.pretrain.training])


def scored_share(study: Study, experiment: str, method: str) -> float:
    """Return the share of the test set that a method in an experiment is scored on; 1 is all.

    Raises:
        StudyError: there is no such experiment or method.
    """
    if evaluation_settings(study, method).test_images == "all":
        return 1.0
    return _entry(study.experiments, "experiments", experiment).partition.fraction


def chain_settings(study: Study, experiment: str, method: str) -> Plain:
    """Return all that the numbers of a method in an experiment depend on, beside code and images.

    Args:
        study: a study in normal form.
        experiment: name of one of its experiments.
        method: name of one of its methods.

    Returns:
        JSON values, to be compared with those of another study.

    Raises:
        StudyError: there is no such experiment or method.
    """
    described, pretrain = _entry(study.experiments, "experiments", experiment), None
    stated = {key: getattr(described, key) for key in DESCRIBED}
    if described.pretrain is not None:
        training = pretrain_training(study, experiment)
        pretrain = {"training": to_plain(training), "objective": to_plain(study.objective)}
        if described.pretrain.file is not None:
            pretrain = {**to_plain(described.pretrain), "training": None}
    scoring = to_plain(evaluation_settings(study, method))
    return {
        "study_id": study.study_id,
        "seed": study.seed,
        **{key: to_plain(value) for key, value in stated.items() if value is not UNSET},
        **to_plain(method_settings(study, experiment, method)),
        "pretrain": pretrain,
        "evaluation": {key: scoring[key] for key in scoring if key != "batch_size"},
    }


def complete_settings(study: Plain) -> None:
    """Bring the experiments' `settings` for single methods into normal form, in place.

    Args:
        study: expanded and checked against the schema, with the methods of every experiment.

    Raises:
        StudyError: an experiment does not run the method, or the method cannot take a setting.
    """
    for name, experiment in study["experiments"].items():
        runs = [method for method in experiment["methods"] if method in study["methods"]]
        for method, changes in experiment.get("settings", {}).items():
            path = ("experiments", name, "settings", method)
            check_runs(path, name, method, runs)
            try:
                completed = checked_changes(study["methods"][method], changes)
            except StudyError as error:
                raise StudyError((*path, *error.path), error.detail) from None
            experiment["settings"][method] = completed


def check_runs(path: KeyPath, experiment: str, method: str, runs: Collection[str]) -> None:
    """Check that a method is one of those that an experiment runs.

    Raises:
        StudyError: it is not, with the path of what names it.
    """
    if method not in runs:
        detail = f"{experiment} does not run it{nearest(method, runs)}; it runs {', '.join(runs)}"
        raise StudyError(path, detail)


def checked_changes(method: Plain, changes: Plain) -> Plain:
    """Return changes of a method's settings in normal form, once the method can take them.

    Args:
        method: expanded and checked.
        changes: any of `SECTIONS`, with some of their keys.

    Raises:
        StudyError: with the path of the key within the changes.
    """
    for section in ("family", "prior", "inference"):
        if "kind" in changes.get(section, {}):
            raise StudyError(
                (section, "kind"), f"another {section} makes another method; add one to `methods`"
            )
    node = study_schema()["properties"]["methods"]["additionalProperties"]
    whole = expand(merged(fill(method, node), changes), node)
    check(whole, node)
    picked: Plain = _picked(changes, fill(whole, node))
    return picked


def _overridden(section: S, levels: Collection[Any]) -> S:
    """Return a section with the keys of every level, the last of which wins."""
    for level in levels:
        if isinstance(level, Overrides):
            section = level.over(section)
    return section


def _as_published(settings: MethodSettings) -> MethodSettings:
    """Return settings with the switches turned that the published code has turned."""
    objective: ObjectiveSettings = settings.objective
    return replace(
        settings,
        family=settings.family.changed(_switches("family", settings.family)),
        prior=settings.prior.changed(_switches("prior", settings.prior)),
        objective=replace(objective, **_switches("objective", objective)),
    )


def _switches(section: str, settings: Section | Mapping[str, Any]) -> dict[str, Any]:
    has = settings if isinstance(settings, Mapping) else settings.__struct_fields__
    return as_published(section, has)


def _entry(entries: Mapping[str, Entry], key: str, name: str) -> Entry:
    if name not in entries:
        known = f"known: {', '.join(entries)}"
        raise StudyError((key, name), f"unknown{nearest(name, entries)}; {known}")
    return entries[name]


def _picked(changes: Any, whole: Any) -> Any:
    """Return of `whole` what `changes` has keys for."""
    if not isinstance(changes, dict):
        return whole
    return {key: _picked(value, whole[key]) for key, value in changes.items()}
