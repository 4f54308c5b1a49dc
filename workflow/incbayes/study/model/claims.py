"""What a study claims of its results."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from incbayes.study.merging import Plain
from incbayes.study.model.base import (
    DERIVED,
    UNIQUE,
    Parts,
    RelationSpec,
    Section,
    Text,
    read,
    stated,
    to_plain,
)

Look = Annotated[int, Meta(ge=2, le=10_000)]
Reported = Annotated[float, Meta(ge=-1_000_000, le=1_000_000)]


class Group(Section, frozen=True, kw_only=True):
    """Results of one method in one experiment, over replicates; or a constant.

    Attributes:
        experiment: Name of an experiment of the study.
        method: Name of a method that the experiment runs.
        T: Number of parts of the chain, one of the experiment's `parts`; not of a stream, of which
            all that have arrived count.
        t: Stage after which the metric is taken; null for the last, T.
        predictor: `predictive` averages over draws from the posterior; `mean` is the one network at
            its mean.
        split: Images that are scored: `test`, a part seen so far, `part_01` to `part_t`, outliers,
            `outliers_NAME`, or, after the last stage, shifted ones,
            `shift_NAME_LEVEL`, `shift_NAME.CORRUPTION_LEVEL` or `shift_NAME.mean`.
        reported: The paper's own value of the metric for this group; null where it gives none.
        kl_scale: How many times the bound's own KL the method minimises, once a claim is tested;
            null where it has none.
    """

    experiment: str
    method: str
    T: Annotated[
        Parts, stated(x_default="of a stream, the parts that have arrived; else it must be given")
    ]
    t: Parts | None = None
    predictor: Literal["predictive", "mean"] = "predictive"
    split: str = "test"
    reported: Reported | None = None
    kl_scale: Annotated[float | None | UnsetType, DERIVED] = UNSET

    @property
    def stage(self) -> int:
        """The stage after which the metric is taken."""
        return self.t or self.T


class Claim(Section, frozen=True, kw_only=True):
    """A sentence as a test on the metrics.

    Attributes:
        paper: The paper that makes the claim; null where none does.
        place: Where in the paper.
        sentence: The claim in your own words.
        metric: Name of the metric that is compared; see [metrics](#metrics).
        relation: What the claim says of the groups.
        groups: What is compared, two or more: a group of results, or a number such as 0.969, a
            constant, for one of the groups after the first.
        status: `primary`: stated before its runs, and one of the family that verdicts are corrected
            for. `exploratory`: added once results were seen; it is shown with effect and interval,
            and gets no verdict.
        level: Largest chance of a false verdict, of all primary claims of the study together.
        looks: Numbers of replicates at which the claim is judged, rising, e.g. `[5, 10, 20, 40]`;
            each looks at the first so many by number. Null judges once, on all replicates that
            there are, whose number is then to be fixed before results are seen.
        evidence: `all` replicates, or `confirmatory`: those alone that were first run after
            the claim was stated; see `stated`.
        figure: Name of the figure of the report that shows it; null for none.
    """

    paper: Text | None = None
    place: Text | None = None
    sentence: Text
    metric: str = "accuracy"
    relation: RelationSpec
    groups: Annotated[tuple[Group | Reported, ...], Meta(min_length=2), UNIQUE]
    status: Literal["primary", "exploratory"] = "primary"
    level: Annotated[float, Meta(gt=0, le=0.5)] = 0.05
    looks: Annotated[tuple[Look, ...], Meta(min_length=1), UNIQUE] | None = None
    evidence: Literal["all", "confirmatory"] = "all"
    figure: Annotated[str | None, stated(x_default="the figure of its metric")]


def plain_claims(claims: Mapping[str, Claim]) -> Plain:
    """Return claims by name as JSON values, where a constant group is `{"constant": number}`."""
    plain: Plain = to_plain(claims)
    for claim in plain.values():
        claim["groups"] = [
            group if isinstance(group, dict) else {"constant": group} for group in claim["groups"]
        ]
    return plain


def claims_of_plain(plain: Mapping[str, Mapping[str, Any]]) -> dict[str, Claim]:
    """Return claims by name from their JSON values, as `plain_claims` gives them.

    Raises:
        msgspec.ValidationError: a claim has not the keys or the values of one.
    """
    stated = {
        name: {**claim, "groups": [group.get("constant", group) for group in claim["groups"]]}
        for name, claim in plain.items()
    }
    return read(dict[str, Claim], stated)
