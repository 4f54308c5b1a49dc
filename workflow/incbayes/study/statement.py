"""When claims were stated, and whether they are still what they then were.

A claim is stated with the settings of its groups, so that neither its margin nor what it is about
can change unseen once there are results. It knows a study and its settings; it reads no results.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from incbayes.core.json_digest import digest
from incbayes.study import outliers, shifts
from incbayes.study.chains import Chain
from incbayes.study.merging import Plain
from incbayes.study.messages import Node
from incbayes.study.model import Claim, Group, Statement, Study, read, to_plain
from incbayes.study.schema import study_schema, without_defaults
from incbayes.study.settings import chain_settings

SHOWN = ("place", "figure")
"""Of a claim, what changes nothing of what it says."""

BESIDE = {"outliers": outliers.PREFIX, "shifts": shifts.PREFIX}
"""Settings of images that are scored beside an experiment's own, and how their splits begin."""


@dataclass(frozen=True)
class Stated:
    """The statements of a study's claims.

    Attributes:
        current: by claim, of those that are still what they were.
        changed: claims of which the sentence, the test or a setting has changed since.
    """

    current: Mapping[str, Statement]
    changed: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The claims that were stated, whatever they are now."""
        return frozenset(self.current) | self.changed


def statement_digest(study: Study, name: str) -> str:
    """Return the digest of a claim and of the settings of its groups.

    The number of replicates is none of them: replicates may be added. What is at its default is
    left out, so that a key that a later release adds changes no statement. So are outliers and
    shifts that the claim is not about, as they change no other number.

    Args:
        study: in normal form.
        name: of one of its claims.
    """
    nodes = study_schema()["properties"]
    claim = without_defaults(to_plain(study.claims[name]), _entries(nodes["claims"]))
    splits = [group.split for group in study.claims[name].groups if isinstance(group, Group)]
    beside = [
        key
        for key, prefix in BESIDE.items()
        if not any(split.startswith(prefix) for split in splits)
    ]
    settings = {
        f"{experiment}.{method}": _written(chain_settings(study, experiment, method), beside)
        for experiment, method, _ in groups_of(study.claims[name])
    }
    return digest(
        {"claim": {k: v for k, v in claim.items() if k not in SHOWN}, "settings": settings}
    )


def _written(settings: Plain, beside: Collection[str]) -> Plain:
    """Return settings of a chain without defaults, the number of replicates, and what is beside."""
    study = study_schema()["properties"]
    # Training and objective stand at every level; those of the study are the ones with defaults.
    nodes = _entries(study["experiments"])["properties"] | _entries(study["methods"])["properties"]
    further = {key: study[key] for key in ("training", "objective")}
    pretrain = {"properties": nodes["pretrain"]["properties"] | further}
    nodes |= study | {"pretrain": pretrain}
    return {
        key: without_defaults(value, nodes.get(key, {}))
        for key, value in settings.items()
        if key not in ("replicates", *beside)
    }


def _entries(section: Node) -> Node:
    """Return the node of the entries of a section that names them freely."""
    return section["additionalProperties"]


def stated(study: Study) -> Stated:
    """Return which claims of a study in normal form are stated, as they now are."""
    current = {
        name: statement
        for name, statement in study.stated.items()
        if statement.digest == statement_digest(study, name)
    }
    return Stated(current, frozenset(study.stated) - frozenset(current))


def plain_stated(found: Stated) -> Plain:
    """Return statements as JSON values."""
    return {"current": to_plain(found.current), "changed": sorted(found.changed)}


def stated_of_plain(plain: Mapping[str, Any]) -> Stated:
    """Return statements from their JSON values, as `plain_stated` gives them.

    Raises:
        msgspec.ValidationError: they are none.
    """
    return Stated(read(dict[str, Statement], plain["current"]), frozenset(plain["changed"]))


def groups_of(claim: Claim) -> list[Chain]:
    """Return the chains that a claim compares."""
    return [
        (group.experiment, group.method, group.T)
        for group in claim.groups
        if isinstance(group, Group)
    ]
