"""Refuses a study that no machine could run: too many jobs, weights or bytes.

It knows what `resources` says of a job's memory. What a cluster of today may grant passes: the
limits are far from what any study means.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from incbayes.orchestration.resources import PROCESS_MB, Job, Work, memory, weights_of
from incbayes.study.chains import chosen_chains
from incbayes.study.datasets import data_constraints
from incbayes.study.model import Experiment, Study
from incbayes.study.yaml import KeyPath, StudyError

LARGEST_MB = 2**20
"""Memory of a job, 1 TiB."""

MOST_WEIGHTS = 2**31 - 1
"""Of a network; beyond it some of torch's kernels count wrongly."""

MOST_STAGES = 100_000
"""Stages that Snakemake can plan, of which it takes a second for some 500."""


def check_size(study: Study) -> None:
    """Check a study in normal form.

    Raises:
        StudyError: with the key that takes most of what is too much.
    """
    _check_stages(study)
    for name, described in study.experiments.items():
        data = data_constraints(described.dataset)
        weights = weights_of(described.model, data["shape"], len(data["classes"]))
        if weights > MOST_WEIGHTS:
            detail = f"about {weights} weights, where {MOST_WEIGHTS} are the most"
            raise StudyError(("experiments", name, "model"), detail)
        replicates = min(described.replicates, study.replicates_per_block)
        for method, parts, work in _jobs(described):
            needed = memory(study, Job(name, method, parts, replicates, work))
            _check_memory(needed, f"{work} of {method}" if method else work)


def _check_stages(study: Study) -> None:
    """Check that there are no more jobs of chosen chains than can be planned."""
    size, stages = study.replicates_per_block, Counter[str]()
    for name, _, T in chosen_chains(study):
        stages[name] += T * math.ceil(study.experiments[name].replicates / size)
    if stages.total() > MOST_STAGES:
        ((largest, number),) = stages.most_common(1)
        raise StudyError(
            ("experiments", largest),
            f"{number} jobs that fit a stage, of {stages.total()} in all, where {MOST_STAGES} are "
            "the most; choose chains by `only`, or take fewer parts or replicates or larger blocks",
        )


def _jobs(described: Experiment) -> Iterator[tuple[str | None, int, Work]]:
    """Yield method, T and work of every kind of job of an experiment."""
    for method in described.methods:
        for parts in described.parts:
            yield method, parts, "stage"
            yield method, parts, "scores"
    if described.trains_source:
        yield None, 1, "source"
    if described.trains_source or described.source_data is not None:
        yield None, 1, "fisher"


def _check_memory(needed: Mapping[KeyPath, float], job: str) -> None:
    total = PROCESS_MB + sum(needed.values())
    if total > LARGEST_MB:
        most = max(needed, key=needed.__getitem__)
        raise StudyError(
            most,
            f"a job ({job}) would take about {total / 1024:.0f} GiB of memory, "
            f"{needed[most] / 1024:.0f} of them for this, where {LARGEST_MB // 1024} are the most",
        )
