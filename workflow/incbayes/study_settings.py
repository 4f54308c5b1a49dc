"""What settings hold for a method in an experiment, of all the places where a study may give them.

It knows the levels and which of them wins, and that changes of a method are checked as the
method itself is; it reads no file.
"""

from typing import Any

from incbayes.reading import as_published
from incbayes.registry import nearest
from incbayes.study_file import KeyPath, StudyError
from incbayes.study_schema import check, expand, fill, kind_constraints, study_schema

Study = dict[str, Any]
Settings = dict[str, Any]

SECTIONS = ("family", "prior", "training", "objective")
"""What the settings of a method consist of."""

DESCRIBED = ("dataset", "pixels", "model", "partition", "replicates")
"""What the numbers of any method in an experiment depend on."""


def method_settings(study: Study, experiment: str, method: str) -> Settings:
    """Return family, prior, training and objective of a method in an experiment, all complete.

    A key of the experiment's `settings` for the method wins over the method's own, that over the
    experiment's, and that over the study's; `reading: as_published` wins over all.

    Args:
        study: a study in normal form.
        experiment: name of one of its experiments.
        method: name of one of its methods.

    Raises:
        StudyError: there is no such experiment or method.
    """
    chosen = _entry(study, "methods", method)
    described = _entry(study, "experiments", experiment)
    levels = [study, described, chosen, described["settings"].get(method, {})]
    return {key: _read(chosen, key, _settings(key, levels)) for key in SECTIONS}


def evaluation_settings(study: Study, method: str) -> Settings:
    """Return how the posteriors of a method are evaluated.

    Raises:
        StudyError: there is no such method.
    """
    return _read(_entry(study, "methods", method), "evaluation", study["evaluation"])


def pretrain_training(study: Study, experiment: str) -> Settings:
    """Return the complete training settings of an experiment's source task.

    A key of `pretrain.training` wins over the experiment's, and that over the study's.

    Raises:
        StudyError: there is no such experiment, or it has no pretraining.
    """
    chosen = _entry(study, "experiments", experiment)
    if chosen["pretrain"] is None:
        raise StudyError(("experiments", experiment, "pretrain"), "there is none")
    return _settings("training", [study, chosen, chosen["pretrain"]])


def kl_scale(study: Study, experiment: str, method: str) -> float | None:
    """Return how many times the bound's own KL a method minimises; None where it has no KL.

    That is its `kl_scale`, times a minibatch's images with `likelihood: mean`.

    Raises:
        StudyError: there is no such experiment or method.
    """
    settings = method_settings(study, experiment, method)
    objective = settings["objective"]
    bayesian = kind_constraints("family", settings["family"]["kind"])["bayesian"]
    if not bayesian or objective["beta"] == "none":
        return None
    images = settings["training"]["batch_size"] if objective["likelihood"] == "mean" else 1
    return float(objective["kl_scale"] * images)


def scored_share(study: Study, experiment: str, method: str) -> float:
    """Return the share of the test set that a method in an experiment is scored on; 1 is all.

    Raises:
        StudyError: there is no such experiment or method.
    """
    whole = evaluation_settings(study, method)["test_images"] == "all"
    return 1.0 if whole else _entry(study, "experiments", experiment)["partition"]["fraction"]


def chain_settings(study: Study, experiment: str, method: str) -> Settings:
    """Return all that the numbers of a method in an experiment depend on, beside code and images.

    Args:
        study: a study in normal form.
        experiment: name of one of its experiments.
        method: name of one of its methods.

    Raises:
        StudyError: there is no such experiment or method.
    """
    described, pretrain = _entry(study, "experiments", experiment), None
    if described["pretrain"] is not None:
        training = pretrain_training(study, experiment)
        pretrain = {"training": training, "objective": study["objective"]}
    scoring = evaluation_settings(study, method)
    return {
        **{key: study[key] for key in ("study_id", "seed")},
        **{key: described[key] for key in DESCRIBED},
        **method_settings(study, experiment, method),
        "pretrain": pretrain,
        "evaluation": {key: scoring[key] for key in scoring if key != "batch_size"},
    }


def complete_settings(study: Study) -> None:
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


def check_runs(path: KeyPath, experiment: str, method: str, runs: list[str]) -> None:
    """Check that a method is one of those that an experiment runs.

    Raises:
        StudyError: it is not, with the path of what names it.
    """
    if method not in runs:
        detail = f"{experiment} does not run it{nearest(method, runs)}; it runs {', '.join(runs)}"
        raise StudyError(path, detail)


def checked_changes(method: Settings, changes: Settings) -> Settings:
    """Return changes of a method's settings in normal form, once the method can take them.

    Args:
        method: expanded and checked.
        changes: any of `family`, `prior`, `training` and `objective`, with some of their keys.

    Raises:
        StudyError: with the path of the key within the changes.
    """
    for section in ("family", "prior"):
        if "kind" in changes.get(section, {}):
            raise StudyError(
                (section, "kind"), f"another {section} makes another method; add one to `methods`"
            )
    node = study_schema()["properties"]["methods"]["additionalProperties"]
    whole = expand(merged(fill(method, node), changes), node)
    check(whole, node)
    return _picked(changes, fill(whole, node))


def merged(base: Any, override: Any) -> Any:
    """Return `base` with `override` on top: mappings key by key, all else replaced.

    `{kind: …}` of another kind replaces the whole, as the options of the first kind do not
    belong to the second; options without a kind add to the kind that is there.
    """
    if not isinstance(override, dict):
        return override
    if isinstance(base, str) and "kind" not in override:
        base = {"kind": base}
    if not isinstance(base, dict) or override.get("kind", base.get("kind")) != base.get("kind"):
        return override
    return base | {key: merged(base.get(key), value) for key, value in override.items()}


def nested(dotted: Settings) -> Settings:
    """Return `{"training.epochs": 3}` as `{"training": {"epochs": 3}}`."""
    tree: Settings = {}
    for key, value in dotted.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        tree = merged(tree, value)
    return tree


def value_at(tree: Settings, path: KeyPath) -> Any:
    """Return the value at a path of keys; None where there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _settings(key: str, levels: list[Settings]) -> Settings:
    settings: Settings = {}
    for level in levels:
        settings = merged(settings, level.get(key, {}))
    return settings


def _read(method: Settings, section: str, settings: Settings) -> Settings:
    """Return settings with the switches turned that the method's reading turns."""
    published = method["reading"] == "as_published"
    return settings | (as_published(section, settings) if published else {})


def _entry(study: Study, key: str, name: str) -> Settings:
    if name not in study[key]:
        known = f"known: {', '.join(study[key])}"
        raise StudyError((key, name), f"unknown{nearest(name, study[key])}; {known}")
    return study[key][name]


def _picked(changes: Any, whole: Any) -> Any:
    """Return of `whole` what `changes` has keys for."""
    if not isinstance(changes, dict):
        return whole
    return {key: _picked(value, whole[key]) for key, value in changes.items()}
