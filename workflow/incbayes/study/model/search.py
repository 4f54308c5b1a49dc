"""A search for settings that a study states, and the outcome of one that it uses."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from incbayes.study.model.base import Name, OpenFraction, Parts, Replicates, Section, Seed, Text

Metric = Literal["accuracy", "nll"]

Tried = Annotated[
    tuple[Annotated[Any, Meta(description="A value that the key may have.")], ...],
    Meta(min_length=1, description="The values to try."),
]
TriedSettings = Annotated[
    Mapping[str, Tried],
    Meta(min_length=1, description="The settings to try, by their dotted keys."),
]
SearchedMethods = Annotated[
    Mapping[Name, TriedSettings],
    Meta(min_length=1, description="The methods to search for in this experiment, by name."),
]


class Search(Section, frozen=True, kw_only=True):
    """A search for settings on validation data.

    Attributes:
        validation: Fraction of an experiment's training images (of those that its `fraction` keeps)
            that is held out; the rest is cut into parts. Drawn anew for each replicate, from a
            stream of its own.
        replicates: How often every candidate is fitted; the replicates are not those of the study.
        metric: Metric of the validation images that decides, of the predictive mean after the last
            stage, averaged over the experiment's `parts` that are run and the replicates. The first
            of equals is chosen.
        search: By experiment and method, the settings to try: a dotted key of the method
            (`training.…`, `objective.…`, or an option as `family.…` or `prior.…`) with a list of
            values. Every combination is a candidate; methods that are searched in one experiment
            have equally many.
    """

    validation: OpenFraction = 0.1
    replicates: Replicates = 1
    metric: Metric = "accuracy"
    search: Annotated[Mapping[Name, SearchedMethods], Meta(min_length=1)]


class Score(Section, frozen=True, kw_only=True):
    """Means over the replicates after the last of T stages.

    Attributes:
        T: Number of parts.
        accuracy: Accuracy, a fraction.
        nll: Negative log-likelihood in nats per image.
    """

    T: Parts
    accuracy: Annotated[float, Meta(ge=0, le=1)]
    nll: Annotated[float, Meta(ge=0)]

    def of(self, metric: Metric) -> float:
        """Return the value of a metric."""
        return self.accuracy if metric == "accuracy" else self.nll


class TriedCandidate(Section, frozen=True, kw_only=True):
    """A candidate of a method in an experiment.

    Attributes:
        experiment: Name of the experiment.
        method: Name of the method.
        settings: What was tried, by dotted keys.
        scores: For each number of parts the scores of the validation images.
        chosen: Whether it is the best of its method in the experiment.
    """

    experiment: str
    method: str
    settings: Mapping[str, Any]
    scores: Annotated[tuple[Score, ...], Meta(min_length=1)]
    chosen: bool


class SearchIdentity(Section, frozen=True, kw_only=True):
    """What tells one search from another, beside its candidates.

    Attributes:
        study: Name of the study, with that of a reduced budget, whose chains were fitted.
        budget: The budget of the search.
        reduced: Whether that budget overrides keys of the study.
        seed: The study's `seed`.
        validation: The fraction that was held out.
        replicates: How often every candidate was fitted.
        metric: The metric that decided.
    """

    study: Text
    budget: Name
    reduced: bool
    seed: Seed
    validation: OpenFraction
    replicates: Replicates
    metric: Metric


class Outcome(SearchIdentity, frozen=True, kw_only=True):
    """A search that was run and what came of it.

    Attributes:
        candidates: Every candidate, in the order of the search.
    """

    candidates: Annotated[tuple[TriedCandidate, ...], Meta(min_length=1)]
