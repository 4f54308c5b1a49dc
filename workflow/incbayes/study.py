"""A study: reads, validates and completes one config file, and says what follows from it.

It knows the schema and the constraints of every kind, and needs neither torch nor data, so that
a mistake is found while a workflow is planned.
"""

import re
from collections.abc import Mapping
from typing import Any

from incbayes.chains import chains_left_out, chosen_chains, chosen_experiments
from incbayes.registry import nearest
from incbayes.schema_words import UNQUOTED
from incbayes.study_checks import check_meaning
from incbayes.study_file import KeyPath, StudyError, read_yaml, shown
from incbayes.study_schema import check, expand, fill, study_schema
from incbayes.study_settings import (
    chain_settings,
    complete_settings,
    evaluation_settings,
    kl_scale,
    merged,
    method_settings,
    pretrain_training,
    scored_share,
)
from incbayes.tuning_checks import complete_search

__all__ = [
    "StudyError",
    "block_replicates",
    "blocks",
    "chain_settings",
    "chains_left_out",
    "chosen_chains",
    "chosen_experiments",
    "claims_of",
    "evaluation_settings",
    "kl_scale",
    "method_settings",
    "pretrain_training",
    "read_yaml",
    "resolve_study",
    "scored_share",
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


def blocks(total: int, size: int) -> list[str]:
    """Return the names of the blocks of `size` replicates, the last of which may be shorter.

    Three a block, five replicates are `r0-2` and `r3-4`.
    """
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
    complete_settings(study)
    complete_search(study)
    study = fill(study, schema)
    for experiment in study["experiments"].values():
        experiment.setdefault("replicates", study["replicates"])
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
        return _complete(merged(written, override))
    except StudyError as error:
        if _holds(override, error.path) or not _holds(written, error.path[:-1]):
            raise StudyError(("budgets", name, *error.path), error.detail) from None
        raise StudyError(error.path, f"{error.detail} (in the budget {name})") from None


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
