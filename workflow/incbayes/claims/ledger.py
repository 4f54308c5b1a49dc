"""The ledger of a study: the verdict on each of its claims, corrected for their number.

Holm's method is applied once to the tests that support and once to those that contradict, each
at half the level, so that the chance of any false verdict in a ledger is at most the level. A claim
that was not run counts as one too: running it later takes no verdict back. The level holds for
numbers of replicates that were fixed before any result was seen, not for looking again after each.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from incbayes.claims.examine import Examined, Values, examine, group_name
from incbayes.claims.paired import MOST, decision_chance, replicates_needed
from incbayes.core.files import atomic_write, write_json
from incbayes.core.seal import Seal, write_seal
from incbayes.study.model.base import read, to_plain
from incbayes.study.model.claims import Claim, Group

CLAIMS = "claims"

VERDICTS = ("supported", "contradicted", "inconclusive", "not run")
SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN = VERDICTS

WORDS = ("paper", "place", "sentence", "metric", "relation", "level", "figure")
"""Keys of a claim that its entry repeats."""

EVIDENCE = ("n", "effect", "low", "high", "standardised")
P_VALUES = ("p_support", "p_contradiction", "p_support_holm", "p_contradiction_holm")

GROUP_FIELDS = Group.__struct_fields__

Entry = dict[str, Any]


@dataclass(frozen=True)
class Corrected:
    """What Holm's method makes of a claim's p-values.

    Attributes:
        p_support: twice the adjusted p-value; at most the level for support.
        p_contradiction: likewise, for contradiction.
        alpha_support: level at which this claim would be the next to be supported.
        alpha_contradiction: likewise, contradicted.
    """

    p_support: float
    p_contradiction: float
    alpha_support: float
    alpha_contradiction: float


def judge(claims: Mapping[str, Claim], records: pd.DataFrame, reduced: bool) -> list[Entry]:
    """Return the entries of a ledger, in the order of the claims.

    Args:
        claims: as `study.claims_of` returns them.
        records: every record of the study.
        reduced: whether the study's budget is a reduced one.
    """
    examined = [examine(claim, records) for claim in claims.values()]
    corrected = correct(examined, [claim.level for claim in claims.values()])
    return [
        {"claim": name, **_entry(claims[name], *found), "reduced": reduced}
        for name, found in zip(claims, zip(examined, corrected, strict=True), strict=True)
    ]


def correct(examined: Sequence[Examined], levels: Sequence[float]) -> list[Corrected]:
    """Return the p-values of every claim, corrected for the number of claims.

    Args:
        examined: every claim of the study, also those that were not run.
        levels: of the claims.
    """
    if not examined:
        return []
    support = _holm([claim.p_support for claim in examined])
    contradiction = _holm([claim.p_contradiction for claim in examined])
    half = np.divide(levels, 2)
    return [
        Corrected(*map(float, columns))
        for columns in zip(
            support,
            contradiction,
            half / max(1, np.sum(support > levels)),
            half / max(1, np.sum(contradiction > levels)),
            strict=True,
        )
    ]


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


def _holm(p_values: Sequence[float]) -> np.ndarray:
    """Return twice Holm's adjusted p-values, as one of two families at half the level each."""
    return np.minimum(1.0, 2 * multipletests(p_values, method="holm")[1])


def _entry(claim: Claim, examined: Examined, corrected: Corrected) -> Entry:
    verdict = _verdict(claim.level, examined, corrected)
    needed = _needed(examined, corrected) if verdict == INCONCLUSIVE else None
    return {
        **{key: to_plain(getattr(claim, key)) for key in WORDS},
        "region": [end if math.isfinite(end) else None for end in examined.test.region()],
        "groups": [_group(*pair) for pair in zip(claim.groups, examined.values, strict=True)],
        "comparisons": [asdict(comparison) for comparison in examined.comparisons],
        "telling": _telling(verdict, examined),
        **_p_values(examined, corrected),
        "verdict": verdict,
        "replicates_needed": needed,
        "reason": examined.lack or _reason(verdict, needed, examined),
        "budget": ", ".join(examined.budgets) or None,
    }


def _p_values(examined: Examined, corrected: Corrected) -> dict[str, float | None]:
    """Return the p-values of a claim as they are and corrected; None where it was not run."""
    raw = (examined.p_support, examined.p_contradiction)
    found = (*raw, corrected.p_support, corrected.p_contradiction)
    return dict(zip(P_VALUES, found if examined.comparisons else [None] * 4, strict=True))


def _verdict(level: float, examined: Examined, corrected: Corrected) -> str:
    if not examined.comparisons:
        return NOT_RUN
    if corrected.p_support <= level:
        return SUPPORTED
    return CONTRADICTED if corrected.p_contradiction <= level else INCONCLUSIVE


def _telling(verdict: str, examined: Examined) -> int | None:
    """Return the position of the comparison that the verdict hangs on.

    It is the one that speaks most against a contradicted claim, and else the weakest.
    """
    evidence = [comparison.evidence for comparison in examined.comparisons]
    if not evidence:
        return None
    if verdict == CONTRADICTED:
        return int(np.argmin([e.p_contradiction for e in evidence]))
    return int(np.argmax([e.p_support for e in evidence]))


def _needed(examined: Examined, corrected: Corrected) -> int | None:
    """Return how many replicates would decide an open claim at the observed effects.

    The number is exact for a claim of one comparison. For several it is an upper bound, as
    nothing is assumed of how they depend on each other: all must be decided to support the claim,
    which fails at most as often as they do together (Bonferroni); to contradict it one is enough,
    and at least the likeliest is. Fewer can suffice.
    """
    low, high = examined.test.region()
    found = [c.evidence for c in examined.comparisons]
    if any(e.standardised is None for e in found):
        return None
    against = [e for e in found if not low < e.effect < high]
    alpha = corrected.alpha_contradiction / len(found) if against else corrected.alpha_support

    def chance(n: int) -> float:
        chances = [
            decision_chance(e.effect, e.deviation, low, high, n, alpha) for e in against or found
        ]
        return max(chances) if against else 1 - sum(1 - chance for chance in chances)

    return replicates_needed(chance)


def _reason(verdict: str, needed: int | None, examined: Examined) -> str:
    """Return what would decide an open claim; nothing of one with a verdict."""
    if verdict != INCONCLUSIVE:
        return ""
    if any(c.evidence.standardised is None for c in examined.comparisons):
        return "every replicate has the same difference, which shows nothing of its error"
    number = f"more than {MOST}" if needed is None else str(needed)
    return f"{number} replicates would decide it at the observed effect"


def _group(group: Group | float, values: Values) -> Entry:
    if not isinstance(values, pd.Series):
        return {"constant": group}
    mean = float(values.mean()) if len(values) else None
    return {**to_plain(group), "n": len(values), "mean": mean}


def _row(entry: Entry) -> Entry:
    """Return an entry as a row of the CSV, where the telling comparison stands for all."""
    names = [_name(group) for group in entry["groups"]]
    telling, evidence = "", {}
    if entry["telling"] is not None:
        comparison = entry["comparisons"][entry["telling"]]
        evidence = comparison["evidence"]
        telling = f"{names[comparison['first']]} - {names[comparison['second']]}"
    reported = [group.get("reported") for group in entry["groups"]]
    scales = [group.get("kl_scale") for group in entry["groups"]]
    return {
        **{key: entry[key] for key in ("claim", "verdict", "reason", "sentence", "paper", "place")},
        **{key: entry[key] for key in ("metric", "level", "budget", "reduced", "figure")},
        "relation": entry["relation"]["kind"],
        "region_low": entry["region"][0],
        "region_high": entry["region"][1],
        "groups": "; ".join(names),
        "reported": _listed(reported),
        "kl_scales": _listed(scales),
        "telling": telling,
        **{key: evidence.get(key) for key in EVIDENCE},
        **{key: entry[key] for key in P_VALUES},
        "replicates_needed": entry["replicates_needed"],
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
