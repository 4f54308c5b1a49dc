"""Validates and completes a study, and says what follows from it.

It knows the schema and the constraints of every kind, and needs neither torch nor data, so that
a mistake is found while a workflow is planned.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from incbayes.core.registry import nearest
from incbayes.kinds import METRICS
from incbayes.study.chains import chosen_chains, fewest_names
from incbayes.study.checks.experiments import check_meaning
from incbayes.study.checks.tuning import complete_search
from incbayes.study.merging import Plain, merged
from incbayes.study.messages import UNQUOTED
from incbayes.study.model import Claim, Group, Study, study_of
from incbayes.study.schema import check, expand, fill, study_schema
from incbayes.study.settings import complete_settings
from incbayes.study.small_sets import check_sizes_are_known, defaults_by_size
from incbayes.study.streams import complete_claims, complete_parts
from incbayes.study.tables import complete_table
from incbayes.study.tempering import kl_scale
from incbayes.study.yaml import KeyPath, StudyError, check_extent, shown

FULL = "full"
FIXED = ("study", "budget", "budgets")
"""Keys that no budget overrides."""

NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters, halves of a surrogate pair, …: no path, page or figure can hold them."""


def resolve_study(raw: Mapping[str, Any]) -> Study:
    """Return the normal form of a study: its budget merged, checked, every default in place.

    The study as written and each of its budgets are checked, not the chosen one only.

    Args:
        raw: the study as YAML gives it, from `read_yaml` or from Snakemake's own loader.

    Raises:
        StudyError: the first mistake, in one line with the path of its key.
    """
    check_extent(raw)
    written = _plain(raw, ())
    if not isinstance(written, dict):
        raise StudyError((), f"found {shown(written)}; a study is a mapping")
    full = _complete(written)
    studies = {FULL: full}
    for name, override in full.budgets.items():
        studies[name] = _complete_budget(written, name, dict(override))
    budget = full.budget
    if budget not in studies:
        detail = f"found {shown(budget)}{nearest(budget, studies)}; allowed: {', '.join(studies)}"
        raise StudyError(("budget",), detail)
    reduced, name = bool(full.budgets.get(budget)), full.study
    chosen = replace(
        studies[budget],
        study_id=f"{name}-{budget}" if reduced else name,
        reduced=reduced,
        only=_chosen_by_both(full, studies[budget]),
    )
    check_sizes_are_known(chosen, merged(written, dict(full.budgets.get(budget, {}))))
    return chosen


def _chosen_by_both(full: Study, reduced: Study) -> Sequence[str] | None:
    """Return the `only` of a study under a budget: what that chooses of what the study does."""
    if full.only is None or reduced.only in (None, full.only):
        return reduced.only
    of_study = set(chosen_chains(replace(reduced, only=full.only)))
    both = [chain for chain in chosen_chains(reduced) if chain in of_study]
    if not both:
        names = " and ".join(reduced.only)
        detail = f"found {shown(list(full.only))}; the budget {full.budget} runs {names} alone"
        raise StudyError(("only",), detail)
    fewest = fewest_names(reduced, both)
    return None if fewest is None else tuple(fewest)


def claims_of(study: Study) -> dict[str, Claim]:
    """Return the claims of a study by name, ready to be tested.

    Every group of results has its stage `t` as a number and the `kl_scale` of its method.
    """
    return {
        name: replace(claim, groups=tuple(_group(study, group) for group in claim.groups))
        for name, claim in study.claims.items()
    }


def replicates_of(study: Study, experiment: str) -> range:
    """Return the numbers of the replicates that a study runs of an experiment."""
    first = study.first_replicate
    return range(first, first + study.experiments[experiment].replicates)


def _group(study: Study, group: Group | float) -> Group | float:
    if not isinstance(group, Group):
        return group
    scale = kl_scale(study, group.experiment, group.method)
    return replace(group, t=group.stage, kl_scale=scale)


def _complete(written: Plain) -> Study:
    """Return a study as it is written in normal form, named as if its budget changed nothing."""
    completed = _completed(written)
    study = study_of(completed)
    check_meaning(study)
    by_size = defaults_by_size(study, written)
    return study_of(merged(completed, by_size)) if by_size else study


def _completed(written: Plain) -> Plain:
    """Return a study as it is written, checked against the schema, with every default in place."""
    schema = study_schema()
    study = expand(written, schema)
    check(study)
    study.setdefault("title", study["study"])
    for name, method in study["methods"].items():
        method.setdefault("label", name)
    for name, experiment in study["experiments"].items():
        experiment.setdefault("title", name)
        experiment.setdefault("methods", list(study["methods"]))
        complete_parts(name, experiment)
        complete_table(experiment)
    complete_claims(study)
    for claim in study.get("claims", {}).values():
        metric = claim.get("metric", "accuracy")
        claim.setdefault("figure", METRICS[metric].figure if metric in METRICS else None)
    complete_settings(study)
    complete_search(study)
    study = fill(study, schema)
    for experiment in study["experiments"].values():
        experiment.setdefault("replicates", study["replicates"])
    filled: Plain = study | {"study_id": study["study"], "reduced": False}
    return filled


def _complete_budget(written: Plain, name: str, override: Plain) -> Study:
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
    """Return a copy made of dicts and lists, with text as keys."""
    if isinstance(value, list):
        return [_plain(item, (*path, position)) for position, item in enumerate(value)]
    if isinstance(value, str) and NO_TEXT.search(value):
        raise StudyError(path, f"found {shown(value)}, with a character that is no text")
    if not isinstance(value, Mapping):
        return value
    for key in value:
        if not isinstance(key, str):
            why = f" ({UNQUOTED})" if isinstance(key, bool) else ""
            raise StudyError(path, f"found the key {shown(key)}{why}; a key is text: quote it")
        if NO_TEXT.search(key):
            raise StudyError(path, f"found the key {shown(key)}, with a character that is no text")
    return {key: _plain(item, (*path, key)) for key, item in value.items()}
