"""The ledger of a study: the verdict on each of its primary claims, corrected for their number.

A claim is supported where its p-value against the hypothesis that the difference lies outside the
claimed region is at most level / m, with m primary claims, and contradicted likewise. Of the two
hypotheses of a claim exactly one is true, so that m are true in all, and the chance of any false
verdict is at most the level (docs/claims.md has the simulations). A claim that was not run counts
as one of the m: running it later takes no verdict back. Exploratory claims get no verdict.
Verdicts are over replicates; an interval over replicates and test images is shown beside.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from incbayes.claims.examine import Comparison, Examined, Values, examine, group_name
from incbayes.claims.history import History
from incbayes.claims.images import NO_EVIDENCE, ImageEvidence
from incbayes.claims.looks import levels
from incbayes.claims.paired import MOST, POWER, decision_chance, replicates_needed
from incbayes.core.files import atomic_write, write_json
from incbayes.core.seal import Seal, write_seal
from incbayes.study.model.base import read, to_plain
from incbayes.study.model.claims import Claim, Group

CLAIMS = "claims"

VERDICTS = ("supported", "contradicted", "inconclusive", "not run")
SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN = VERDICTS
EXPLORATORY = "exploratory"
"""In place of a verdict, of a claim that was run and is none of the family."""

WORDS = (
    "paper", "place", "sentence", "metric", "relation", "level", "figure", "status", "evidence",
    "looks",
)  # fmt: skip
"""Keys of a claim that its entry repeats."""

EVIDENCE = ("n", "tested", "effect", "low", "high", "standardised")
P_VALUES = ("p_support", "p_contradiction", "p_support_corrected", "p_contradiction_corrected")

GROUP_FIELDS = Group.__struct_fields__

Entry = dict[str, Any]

UNKNOWN = History()
"""Nothing is known of when claims were stated."""


@dataclass(frozen=True)
class Corrected:
    """A claim's p-values, corrected for the number of claims.

    Attributes:
        p_support: at most the level for support.
        p_contradiction: at most the level for contradiction.
        alpha: level at which the claim alone is tested, on either side.
    """

    p_support: float
    p_contradiction: float
    alpha: float


def judge(
    claims: Mapping[str, Claim],
    records: pd.DataFrame,
    reduced: bool,
    history: History = UNKNOWN,
    evidence: ImageEvidence = NO_EVIDENCE,
) -> list[Entry]:
    """Return the entries of a ledger, in the order of the claims.

    Args:
        claims: as `study.claims_of` returns them.
        records: every record of the study.
        reduced: whether the study's budget is a reduced one.
        history: when claims were stated and replicates first run.
        evidence: of every image, for an interval that is shown beside and decides nothing.
    """
    family = family_size(claims, history)
    entries = []
    for name, claim in claims.items():
        examined = examine(claim, records, history.choice(name, claim), evidence)
        corrected = None
        if claim.status != EXPLORATORY:
            corrected = correct(examined, claim.level, family)
        entry = _entry(claim, examined, corrected)
        after = history.run_after(name, claim)
        statement = history.statement(name)
        said = {
            "stated": statement.date if statement else None,
            "changed_since_stated": name in history.stated.changed,
            "codes": history.states_of_code(claim),
            "run_after_stated": None if after is None else len(after & examined.replicates),
        }
        entries.append({"claim": name, **entry, **said, "reduced": reduced})
    return entries


def family_size(claims: Mapping[str, Claim], history: History) -> int:
    """Return the number of claims m that verdicts are corrected for.

    These are the primary claims, and those that were stated and are exploratory now: who takes one
    out once results are seen does not make the others easier to support.
    """
    return sum(
        claim.status != EXPLORATORY or name in history.stated.names
        for name, claim in claims.items()
    )


def correct(examined: Examined, level: float, family: int) -> Corrected:
    """Return the p-values of a claim, corrected for the number of claims.

    Args:
        examined: the claim.
        level: its level.
        family: of the study, as `family_size` returns it; claims that were not run count.
    """
    return Corrected(
        min(1.0, family * examined.p_support),
        min(1.0, family * examined.p_contradiction),
        level / family,
    )


def write_ledger(entries: Sequence[Entry], json: Path, csv: Path) -> None:
    """Write a ledger whole as JSON, and one row a claim as CSV; equal ledgers give equal bytes."""
    write_json(json, list(entries))
    frame = pd.DataFrame([_row(entry) for entry in entries], dtype=object)
    with atomic_write(csv) as partial:
        frame.to_csv(partial, index=False, lineterminator="\n")


def seal_ledger(path: Path, study: str, records: Seal, files: Sequence[Path]) -> Seal:
    """Seal a ledger.

    Args:
        path: of the seal.
        study: its id.
        records: the seal of the records that the claims were judged on.
        files: that `write_ledger` wrote.
    """
    return write_seal(path, CLAIMS, {"study": study}, files, {"records": records})


def _entry(claim: Claim, examined: Examined, corrected: Corrected | None) -> Entry:
    verdict = _verdict(claim.level, examined, corrected)
    needed = None
    if corrected is not None and verdict == INCONCLUSIVE:
        needed = needed_replicates(examined, corrected.alpha, claim.looks)
    decisive = _decisive(verdict, examined)
    chosen = None if decisive is None else examined.comparisons[decisive]
    return {
        **{key: to_plain(getattr(claim, key)) for key in WORDS},
        "region": [end if math.isfinite(end) else None for end in examined.test.region()],
        "groups": [_group(*pair) for pair in zip(claim.groups, examined.values, strict=True)],
        "comparisons": [asdict(comparison) for comparison in examined.comparisons],
        "decisive": decisive,
        **_p_values(examined, corrected),
        "verdict": verdict,
        "practically_equal": practically_equal(claim, chosen),
        "replicates_needed": needed,
        "reason": examined.lack or _reason(verdict, needed, examined, claim.looks),
        "budget": ", ".join(examined.budgets) or None,
    }


def practically_equal(claim: Claim, decisive: Comparison | None) -> bool:
    """Return whether the interval of a directional claim lies within ±by: equal, but for little."""
    by = claim.relation.options.get("by")
    if (
        not by
        or decisive is None
        or decisive.evidence.low is None
        or decisive.evidence.high is None
    ):
        return False
    return bool(-by < decisive.evidence.low and decisive.evidence.high < by)


def _p_values(examined: Examined, corrected: Corrected | None) -> dict[str, float | None]:
    """Return the p-values of a claim as they are and corrected; None where there are none."""
    found: list[float | None] = [None] * 4
    if examined.comparisons:
        found[:2] = examined.p_support, examined.p_contradiction
    if examined.comparisons and corrected is not None:
        found[2:] = corrected.p_support, corrected.p_contradiction
    return dict(zip(P_VALUES, found, strict=True))


def _verdict(level: float, examined: Examined, corrected: Corrected | None) -> str:
    if not examined.comparisons:
        return NOT_RUN
    if corrected is None:
        return EXPLORATORY
    if corrected.p_support <= level:
        return SUPPORTED
    return CONTRADICTED if corrected.p_contradiction <= level else INCONCLUSIVE


def _decisive(verdict: str, examined: Examined) -> int | None:
    """Return the position of the comparison that the verdict hangs on.

    It is the one that speaks most against a contradicted claim, and else the weakest.
    """
    evidence = [comparison.evidence for comparison in examined.comparisons]
    if not evidence:
        return None
    if verdict == CONTRADICTED:
        return int(np.argmin([e.p_contradiction for e in evidence]))
    return int(np.argmax([e.p_support for e in evidence]))


def needed_replicates(examined: Examined, alpha: float, looks: Sequence[int] | None) -> int | None:
    """Return how many replicates would decide an open claim at the observed effects.

    With looks it is the first of those to come at which a decision has the chance; None where
    no number, or none of the looks, will do.
    """
    found = [comparison.evidence for comparison in examined.comparisons]
    if not found or any(e.standardised is None for e in found):
        return None
    if looks is None:
        return replicates_needed(lambda n: chance_of_decision(examined, n, alpha))
    tested = min(e.tested for e in found)
    for n, at_look in levels(looks, alpha):
        if n > tested and chance_of_decision(examined, n, at_look) >= POWER:
            return n
    return None


def chance_of_decision(examined: Examined, n: int, alpha: float) -> float:
    """Return the chance that n replicates decide a claim, if the observed effects are true.

    It is exact for a claim of one comparison. For several it is a lower bound, as nothing is
    assumed of how they depend on each other: all must be decided to support the claim, which fails
    at most as often as they do together (Bonferroni); to contradict it one is enough, and at
    least the likeliest is.

    Args:
        examined: the claim, whose differences vary.
        n: replicates, two or more.
        alpha: level of the claim at this number.
    """
    low, high = examined.test.region()
    found = [c.evidence for c in examined.comparisons]
    against = [e for e in found if not low < e.effect < high]
    of_each = alpha / len(found) if against else alpha
    chances = [
        decision_chance(e.effect, e.deviation, low, high, n, of_each) for e in against or found
    ]
    return max(chances) if against else max(0.0, 1 - sum(1 - chance for chance in chances))


def _reason(
    verdict: str, needed: int | None, examined: Examined, looks: Sequence[int] | None
) -> str:
    """Return what would decide an open claim; nothing of one with a verdict.

    One without looks is judged once: replicates that are added when it was seen to be open would
    be a second judgement, which its level does not allow for.
    """
    if verdict != INCONCLUSIVE:
        return ""
    if any(c.evidence.standardised is None for c in examined.comparisons):
        return "every replicate has the same difference, which shows nothing of its error"
    if looks is None:
        number = f"more than {MOST}" if needed is None else str(needed)
        return f"run anew, {number} replicates would decide it at the observed effect"
    if needed is None:
        return f"no look, up to {looks[-1]} replicates, would decide it at the observed effect"
    return f"the look at {needed} replicates would decide it at the observed effect"


def _group(group: Group | float, values: Values) -> Entry:
    if not isinstance(values, pd.Series):
        return {"constant": group}
    mean = float(values.mean()) if len(values) else None
    return {**to_plain(group), "n": len(values), "mean": mean}


def _row(entry: Entry) -> Entry:
    """Return an entry as a row of the CSV, where the decisive comparison stands for all."""
    names = [_name(group) for group in entry["groups"]]
    decisive, evidence = "", {}
    on_others: Entry = {}
    if entry["decisive"] is not None:
        comparison = entry["comparisons"][entry["decisive"]]
        evidence, on_others = comparison["evidence"], comparison["on_other_images"] or {}
        decisive = f"{names[comparison['first']]} - {names[comparison['second']]}"
    reported = [group.get("reported") for group in entry["groups"]]
    scales = [group.get("kl_scale") for group in entry["groups"]]
    return {
        **{key: entry[key] for key in ("claim", "verdict", "reason", "sentence", "paper", "place")},
        **{key: entry[key] for key in ("status", "metric", "level", "budget", "reduced", "figure")},
        "relation": entry["relation"]["kind"],
        "smallest": entry["relation"].get("by", entry["relation"].get("margin")),
        "region_low": entry["region"][0],
        "region_high": entry["region"][1],
        "groups": "; ".join(names),
        "reported": _listed(reported),
        "kl_scales": _listed(scales),
        "decisive": decisive,
        **{key: evidence.get(key) for key in EVIDENCE},
        **{key: entry[key] for key in P_VALUES},
        **{key: entry[key] for key in ("practically_equal", "replicates_needed", "evidence")},
        "looks": "; ".join(map(str, entry["looks"] or ())),
        **{key: entry[key] for key in ("stated", "changed_since_stated", "run_after_stated")},
        **{f"{end}_other_images": on_others.get(end) for end in ("low", "high")},
        "images": on_others.get("images"),
    }


def _name(group: Entry) -> str:
    """Return the name of a group of an entry."""
    if "constant" in group:
        return group_name(group["constant"])
    return group_name(read(Group, {key: group[key] for key in group if key in GROUP_FIELDS}))


def _listed(values: Sequence[float | None]) -> str:
    """Return one value a group, `-` where it has none; empty where no group has one."""
    if all(value is None for value in values):
        return ""
    return "; ".join("-" if value is None else f"{value:g}" for value in values)
