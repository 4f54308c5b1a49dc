"""The ledger of a study in words and numbers, as the report shows it.

It knows what `claims.ledger` writes; it tests nothing.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incbayes.claims.ledger import CLAIMS, EXPLORATORY, VERDICTS
from incbayes.core.seal import Seal, read_seal, seal_path
from incbayes.figures.against_paper import against_paper_file
from incbayes.figures.base import FigureFile
from incbayes.figures.claims import claims_file
from incbayes.figures.context import FigureContext
from incbayes.metrics.base import Metric
from incbayes.metrics.named import metric_of
from incbayes.report.tables import number, of_two
from incbayes.results.intervals import FEWEST

NBSP = "\N{NO-BREAK SPACE}"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Ledger:
    """The ledger of a study.

    Attributes:
        entries: one a claim, as `claims.ledger.judge` returns them.
        csv: the same as a table, the text of claims.csv.
        picture: of the entries; None where none was drawn.
        against_paper: likewise, of the paper's differences beside ours.
    """

    entries: Sequence[Entry]
    csv: str
    picture: FigureFile | None = None
    against_paper: FigureFile | None = None

    @property
    def primary(self) -> Sequence[Entry]:
        """The entries of the family, which have verdicts."""
        return [entry for entry in self.entries if entry["status"] != EXPLORATORY]

    @property
    def exploratory(self) -> Sequence[Entry]:
        """The entries of claims that were added once results were seen."""
        return [entry for entry in self.entries if entry["status"] == EXPLORATORY]


def read_ledger(entries: Path, table: Path, figures: Path | None = None) -> Ledger:
    """Return the ledger that `claims.ledger.write_ledger` wrote as JSON and as CSV.

    Args:
        entries: the JSON.
        table: the CSV.
        figures: folder in which its pictures were drawn; None where they were not.
    """
    pictures = (claims_file(figures), against_paper_file(figures)) if figures else ()
    return Ledger(json.loads(entries.read_text("utf-8")), table.read_text("utf-8"), *pictures)


def sealed_ledger(entries: Path, table: Path, study: str, records: Seal) -> tuple[Ledger, Seal]:
    """Return the ledger of a study, not drawn, and its seal, verified to be judged on its records.

    Raises:
        SealError: it is damaged or edited, or was judged on other records.
    """
    seal = read_seal(seal_path(entries), CLAIMS, {"study": study}, {"records": records})
    return read_ledger(seal.verified(entries), seal.verified(table)), seal


def verdict_counts(ledger: Ledger) -> str:
    """Return e.g. `7 primary claims: 4 supported, 2 inconclusive, 1 not run; 2 exploratory.`."""
    counts = Counter(entry["verdict"] for entry in ledger.primary)
    found = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    total, others = len(ledger.primary), len(ledger.exploratory)
    more = f"; {others} exploratory" if others else ""
    return f"{total} primary claim{'s' if total != 1 else ''}: {found or 'none'}{more}."


def verdict_groups(ledger: Ledger) -> list[dict[str, Any]]:
    """Return of each verdict, and of what is exploratory, how many and which sentences."""
    groups = [(v, [e for e in ledger.primary if e["verdict"] == v]) for v in VERDICTS]
    groups.append((EXPLORATORY, list(ledger.exploratory)))
    return [
        {"verdict": verdict, "sentences": [entry["sentence"] for entry in entries]}
        for verdict, entries in groups
        if entries
    ]


def on_statements(ledger: Ledger) -> str:
    """Return a sentence on when the primary claims were stated."""
    said = [entry["stated"] for entry in ledger.primary if entry["stated"]]
    total = len(ledger.primary)
    if not said:
        return (
            "When the claims were stated is not on record (`snakemake state_claims`), so that none "
            "of these replicates counts as run after that."
        )
    return f"{len(said)} of {total} primary claims were stated on record, the last on {max(said)}."


def ledger_row(entry: Entry, context: FigureContext) -> dict[str, Any]:
    """Return a claim for the template: its words, its verdict, and its numbers as text."""
    metric = metric_of(entry["metric"])
    named = labels(entry["groups"], metric, context)
    reduced = f"reduced budget: {entry['budget'] or context.budget}" if entry["reduced"] else ""
    return {
        "name": entry["claim"],
        "sentence": entry["sentence"],
        "source": ", ".join(text for text in (entry["paper"], entry["place"]) if text),
        "measured": _measured(entry, metric, context),
        "verdict": entry["verdict"],
        "notes": [note for note in (*_notes(entry, metric), reduced) if note],
        "effects": [found_effect(c, named, metric) for c in entry["comparisons"]],
        "claimed": _claimed(entry, metric),
        "reported": _reported(entry, named, metric),
        "figure": entry["figure"],
    }


def _notes(entry: Entry, metric: Metric) -> list[str]:
    """Return what is to be said beside a verdict."""
    by, n = entry["relation"].get("by"), _replicates(entry)
    notes = [entry["reason"]]
    if entry["practically_equal"]:
        size, unit = number(metric.factor * by, metric.decimals), metric.difference_unit
        notes.append(f"practically equal: the interval lies within ±{size} {unit}")
    if by == 0:
        notes.append("claimed by any difference, so that only a difference can decide it")
    if entry["verdict"] == EXPLORATORY:
        notes.append(f"the interval lies {_lies(entry)}")
    elif entry["looks"] is not None and n is not None:
        looks = ", ".join(map(str, entry["looks"]))
        notes.append(f"judged on the first {n}, of looks at {looks}" if n else f"looks at {looks}")
    if entry["stated"]:
        notes.append(f"stated {entry['stated']}; replicates run after: {entry['run_after_stated']}")
    if entry["codes"] > 1:
        notes.append(f"its chains are of {entry['codes']} states of the code, named at the end")
    if entry["changed_since_stated"]:
        notes.append("its sentence, test or settings have changed since it was stated")
    return notes


def _replicates(entry: Entry) -> int | None:
    """Return how many replicates the verdict is of; None where the claim was not run."""
    tested = [comparison["evidence"]["tested"] for comparison in entry["comparisons"]]
    return min(tested) if tested else None


def _lies(entry: Entry) -> str:
    """Return where the interval of the decisive comparison lies, beside the claimed region."""
    evidence = entry["comparisons"][entry["decisive"]]["evidence"]
    low, high = entry["region"]
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    if evidence["low"] is None:
        return "nowhere, as all differences are equal"
    if low < evidence["low"] and evidence["high"] < high:
        return "within the claimed region"
    if evidence["high"] < low or high < evidence["low"]:
        return "outside the claimed region"
    return "across the edge of the claimed region"


def _measured(entry: Entry, metric: Metric, context: FigureContext) -> str:
    """Return the metric, and the experiment where there is one only."""
    first, *others = _experiments(entry["groups"])
    return metric.heading if others else f"{metric.heading}, {context.experiments[first]}"


def found_effect(comparison: Entry, labels: Sequence[str], metric: Metric) -> dict[str, Any]:
    """Return the difference of two groups in words, with its interval; of two replicates, both.

    Args:
        comparison: of an entry of a ledger.
        labels: of its groups.
        metric: of the claim.
    """
    evidence, others = comparison["evidence"], comparison.get("on_other_images")
    effect = evidence["effect"]

    def written(difference: float) -> str:
        return number(metric.factor * difference, metric.decimals, signed=True)

    value = written(effect)
    interval = _interval(evidence, metric) if evidence["low"] is not None else ""
    if interval and evidence["n"] < FEWEST:  # an interval of two says nothing
        value, interval, others = of_two(effect, evidence["high"] - effect, written), "", None
    return {
        "value": value,
        "interval": f"{interval} {metric.difference_unit}".strip(),
        "difference": f"{labels[comparison['first']]} minus {labels[comparison['second']]}",
        "n": evidence["n"],
        "others": f"on other images: {_interval(others, metric)}" if others else "",
    }


def _interval(ends: Entry, metric: Metric) -> str:
    """Return e.g. `[+0.10, +0.32]`."""
    written = [metric.factor * ends[end] for end in ("low", "high")]
    low, high = (number(end, metric.decimals, signed=True) for end in written)
    return f"[{low}, {high}]"


def _claimed(entry: Entry, metric: Metric) -> str:
    """Return which differences the claim allows, and why a margin is what it is."""
    low, high = (None if end is None else _bound(end, metric) for end in entry["region"])
    if low is not None and high is not None:
        where = f"between {low} and {high}"
    else:
        where = f"above {low}" if low is not None else f"below {high}"
    reason = entry["relation"].get("reason")
    return f"claimed: {where}" + (f" ({reason})" if reason else "")


def _bound(value: float, metric: Metric) -> str:
    return number(metric.factor * value, metric.decimals, signed=True) if value else "0"


def _reported(entry: Entry, labels: Sequence[str], metric: Metric) -> list[dict[str, str]]:
    """Return the paper's own values, of the groups for which it gives one."""
    return [
        {"value": number(metric.factor * group["reported"], metric.decimals), "label": label}
        for group, label in zip(entry["groups"], labels, strict=True)
        if group.get("reported") is not None
    ]


def labels(groups: Sequence[Entry], metric: Metric, context: FigureContext) -> list[str]:
    """Return what each group is, with its experiment where they are not all of one."""
    several = len(_experiments(groups)) > 1
    return [_label(group, metric, context, several) for group in groups]


def _experiments(groups: Sequence[Entry]) -> set[str]:
    return {group["experiment"] for group in groups if "constant" not in group}


def _label(group: Entry, metric: Metric, context: FigureContext, with_experiment: bool) -> str:
    if "constant" in group:
        return number(metric.factor * group["constant"], metric.decimals)
    words = [context.experiments[group["experiment"]]] if with_experiment else []
    words += [context.methods[group["method"]], f"T{NBSP}={NBSP}{group['T']}"]
    words += [f"after part {group['t']}"] if group["t"] != group["T"] else []
    words += [f"on {group['split'].replace('_', ' ')}"] if group["split"] != "test" else []
    words += ["at the posterior mean"] if group["predictor"] != "predictive" else []
    words += (
        [f"KL{NBSP}×{NBSP}{group['kl_scale']:g}"] if group["kl_scale"] not in (None, 1.0) else []
    )
    return ", ".join(words)
