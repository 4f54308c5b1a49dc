"""A study: reads, validates and completes one config file, and says what follows from it.

It knows the schema and the constraints of every kind, and needs neither torch nor data, so that
a mistake is found while a workflow is planned.
"""

import re
from collections.abc import Mapping
from typing import Any

from incbayes.reading import as_published
from incbayes.registry import nearest
from incbayes.schema_words import UNQUOTED
from incbayes.study_checks import check_meaning
from incbayes.study_file import KeyPath, StudyError, read_yaml, shown
from incbayes.study_schema import check, expand, fill, kind_constraints, study_schema

__all__ = [
    "StudyError",
    "block_replicates",
    "blocks",
    "claims_of",
    "evaluation_settings",
    "kl_scale",
    "method_settings",
    "pretrain_training",
    "read_yaml",
    "resolve_study",
]

FULL = "full"
FIXED = ("study", "budget", "budgets")
"""Keys that no budget overrides."""

FIGURE_OF = {"accuracy": "accuracy_by_parts", "nll": "stages", "ece": "reliability"}
"""The figure that shows a metric, and with it a claim on that metric."""

DEEPEST = 16
BLOCK = re.compile(r"r(\d+)-(\d+)", re.ASCII)

Study = dict[str, Any]


def resolve_study(raw: Mapping[str, Any]) -> Study:
    """Return the normal form of a study: its budget merged, checked, every default in place.

    The study as written and each of its budgets are checked, not the chosen one only.

    Args:
        raw: the study as YAML gives it, from `read_yaml` or from Snakemake's own loader.

    Raises:
        StudyError: the first mistake, in one line with the path of its key.
    """
    written = _plain(raw, ())
    if not isinstance(written, dict):
        raise StudyError((), f"found {shown(written)}; a study is a mapping")
    full = _complete(written)
    studies = {FULL: full}
    for name, override in full["budgets"].items():
        studies[name] = _complete_budget(written, name, override)
    budget = full["budget"]
    if budget not in studies:
        detail = f"found {shown(budget)}{nearest(budget, studies)}; allowed: {', '.join(studies)}"
        raise StudyError(("budget",), detail)
    reduced = bool(full["budgets"].get(budget))
    name = studies[budget]["study"]
    identity = {"study_id": f"{name}-{budget}" if reduced else name, "reduced": reduced}
    return studies[budget] | identity


def method_settings(study: Study, experiment: str, method: str) -> dict[str, Any]:
    """Return family, prior, training and objective of a method in an experiment, all complete.

    A key of the method wins over the experiment's, and that over the study's; `reading:
    as_published` wins over all.

    Args:
        study: a study in normal form.
        experiment: name of one of its experiments.
        method: name of one of its methods.

    Raises:
        StudyError: there is no such experiment or method.
    """
    chosen = _entry(study, "methods", method)
    levels = [study, _entry(study, "experiments", experiment), chosen]
    settings = {
        "family": chosen["family"],
        "prior": chosen["prior"],
        "training": _settings("training", levels),
        "objective": _settings("objective", levels),
    }
    return {key: _read(chosen, key, value) for key, value in settings.items()}


def evaluation_settings(study: Study, method: str) -> dict[str, Any]:
    """Return how the posteriors of a method are evaluated.

    Raises:
        StudyError: there is no such method.
    """
    return _read(_entry(study, "methods", method), "evaluation", study["evaluation"])


def pretrain_training(study: Study, experiment: str) -> dict[str, Any]:
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
    """Return the factor on the KL of a method in an experiment; None where it has no KL.

    Raises:
        StudyError: there is no such experiment or method.
    """
    settings = method_settings(study, experiment, method)
    bayesian = kind_constraints("family", settings["family"]["kind"])["bayesian"]
    return float(settings["objective"]["kl_scale"]) if bayesian else None


def claims_of(study: Study) -> dict[str, dict[str, Any]]:
    """Return the claims of a study by name, ready to be tested.

    Every group has its stage `t` as a number and the `kl_scale` of its method, and a constant
    is `{constant: number}`.

    Args:
        study: a study in normal form.
    """
    return {
        name: claim | {"groups": [_group(study, group) for group in claim["groups"]]}
        for name, claim in study["claims"].items()
    }


def blocks(study: Study) -> list[str]:
    """Return the names of the blocks, e.g. `r0-2` and `r3-4`; the last may be shorter."""
    total, size = study["replicates"], study["replicates_per_block"]
    return [f"r{first}-{min(first + size, total) - 1}" for first in range(0, total, size)]


def block_replicates(block: str) -> range:
    """Return the numbers of the replicates of a block, e.g. 3 and 4 of `r3-4`.

    Raises:
        ValueError: the text is not the name of a block.
    """
    match = BLOCK.fullmatch(block)
    first, last = map(int, match.groups()) if match else (1, 0)
    if first > last:
        raise ValueError(f"block {block!r}: expected r<first>-<last>, such as r0-4")
    return range(first, last + 1)


def _group(study: Study, group: dict[str, Any] | float) -> dict[str, Any]:
    if not isinstance(group, dict):
        return {"constant": group}
    stage = {"t": group["t"] or group["T"]}
    return group | stage | {"kl_scale": kl_scale(study, group["experiment"], group["method"])}


def _complete(written: Study) -> Study:
    schema = study_schema()
    study = expand(written, schema)
    check(study)
    study.setdefault("title", study["study"])
    for name, method in study["methods"].items():
        method.setdefault("label", name)
    for name, experiment in study["experiments"].items():
        experiment.setdefault("title", name)
        experiment.setdefault("methods", list(study["methods"]))
    for claim in study.get("claims", {}).values():
        claim.setdefault("figure", FIGURE_OF.get(claim.get("metric", "accuracy")))
    study = fill(study, schema)
    check_meaning(study)
    return study


def _complete_budget(written: Study, name: str, override: Study) -> Study:
    """Return the study under a budget; its mistakes are named where the budget makes them."""
    if name == FULL:
        detail = "this is the study as written and takes no overrides; choose another name"
        raise StudyError(("budgets", name), detail)
    for key in FIXED:
        if key in override:
            raise StudyError(("budgets", name, key), "a budget cannot change this key")
    try:
        return _complete(_without_left_out(_merged(written, override), written))
    except StudyError as error:
        if _holds(override, error.path) or not _holds(written, error.path[:-1]):
            raise StudyError(("budgets", name, *error.path), error.detail) from None
        raise StudyError(error.path, f"{error.detail} (in the budget {name})") from None


def _without_left_out(study: Study, written: Study) -> Study:
    """Return a merged study without the experiments that its budget makes null.

    The claims on one of them go with it.
    """
    left_out = [
        name
        for name in written["experiments"]
        if isinstance(study["experiments"], dict) and study["experiments"].get(name, name) is None
    ]
    if not left_out:
        return study
    experiments = {k: v for k, v in study["experiments"].items() if k not in left_out}
    claims = study.get("claims", {})
    if isinstance(claims, dict):
        claims = {k: v for k, v in claims.items() if not _names(v, left_out)}
    return study | {"experiments": experiments, "claims": claims}


def _names(claim: Any, experiments: list[str]) -> bool:
    """Return whether a claim, which may not be well-formed, names one of the experiments."""
    groups = claim.get("groups") if isinstance(claim, dict) else None
    return any(
        isinstance(group, dict) and group.get("experiment") in experiments
        for group in (groups if isinstance(groups, list) else [])
    )


def _merged(base: Any, override: Any) -> Any:
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
    return base | {key: _merged(base.get(key), value) for key, value in override.items()}


def _settings(key: str, levels: list[dict[str, Any]]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for level in levels:
        settings = _merged(settings, level[key])
    return settings


def _read(method: dict[str, Any], section: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with the switches turned that the method's reading turns."""
    published = method["reading"] == "as_published"
    return settings | (as_published(section, settings) if published else {})


def _entry(study: Study, key: str, name: str) -> dict[str, Any]:
    if name not in study[key]:
        known = f"known: {', '.join(study[key])}"
        raise StudyError((key, name), f"unknown{nearest(name, study[key])}; {known}")
    return study[key][name]


def _holds(value: Any, path: KeyPath) -> bool:
    """Return whether a value has an entry at `path`; positions in lists are not looked at."""
    for key in path:
        if isinstance(value, list) and isinstance(key, int):
            return True
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def _plain(value: Any, path: KeyPath) -> Any:
    """Return a copy made of dicts and lists, with text as keys and no endless nesting."""
    if len(path) > DEEPEST:
        raise StudyError(path[:2], "nested too deeply")
    if isinstance(value, list):
        return [_plain(item, (*path, position)) for position, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    for key in value:
        if not isinstance(key, str):
            why = f" ({UNQUOTED})" if isinstance(key, bool) else ""
            raise StudyError(path, f"found the key {shown(key)}{why}; a key is text: quote it")
    return {key: _plain(item, (*path, key)) for key, item in value.items()}
