"""The study as types: a study in normal form and every section of it.

From a study's JSON values to types by `study_of`, and back by `plain_study`, losing nothing. What
the types say, their docstrings included, is the source of the schema and of docs/config.md.
"""

from incbayes.study.model.base import KindSpec, Overrides, Section, read, to_plain
from incbayes.study.model.claims import Claim, Group, claims_of_plain, plain_claims
from incbayes.study.model.experiments import Experiment, PretrainSettings
from incbayes.study.model.fitting import (
    AugmentationSettings,
    MethodSettings,
    ObjectiveSettings,
    PlateauSettings,
    TrainingSettings,
)
from incbayes.study.model.machine import MachineSettings
from incbayes.study.model.methods import Changes, Method
from incbayes.study.model.partition import PartitionSettings
from incbayes.study.model.scoring import EvaluationSettings
from incbayes.study.model.search import Outcome, Score, Search, SearchIdentity, TriedCandidate
from incbayes.study.model.statement import Statement
from incbayes.study.model.study import Study, plain_study, shown_study, study_of

__all__ = [
    "AugmentationSettings",
    "Changes",
    "Claim",
    "EvaluationSettings",
    "Experiment",
    "Group",
    "KindSpec",
    "MachineSettings",
    "Method",
    "MethodSettings",
    "ObjectiveSettings",
    "Outcome",
    "Overrides",
    "PartitionSettings",
    "PlateauSettings",
    "PretrainSettings",
    "Score",
    "Search",
    "SearchIdentity",
    "Section",
    "Statement",
    "Study",
    "TrainingSettings",
    "TriedCandidate",
    "claims_of_plain",
    "plain_claims",
    "plain_study",
    "read",
    "shown_study",
    "study_of",
    "to_plain",
]
