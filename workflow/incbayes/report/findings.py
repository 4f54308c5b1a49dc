"""What a study found, in three sentences and beside its paper, made of the verdicts.

Knows the entries of a ledger; tests nothing and judges nothing.
"""

from collections.abc import Sequence

from incbayes.figures.context import FigureContext
from incbayes.metrics.named import metric_of
from incbayes.report.claims_table import Entry, Ledger, found_effect, labels
from incbayes.report.tables import number

LONGEST = 2
"""Claims of a verdict that the sentences quote; the table has all."""

UNSHOWN = "the others are in the table"


def found(ledger: Ledger) -> str:
    """Return three sentences: what is supported, what is contradicted, and what stays open."""
    primary = ledger.primary
    by = {
        verdict: [entry for entry in primary if entry["verdict"] == verdict]
        for verdict in ("supported", "contradicted", "inconclusive", "not run")
    }
    total = len(primary)
    lead = f"Of {total} claims" if total != 1 else "Of one claim"
    sentences = [
        _quoted(f"{lead} the replicates support", by["supported"]),
        _quoted("They contradict", by["contradicted"]),
    ]
    open_ = len(by["inconclusive"])
    rest = "They leave none open"
    if open_:
        rest = f"{open_} {'stays' if open_ == 1 else 'stay'} open"
    if by["not run"]:
        rest += f"; {len(by['not run'])} {'was' if len(by['not run']) == 1 else 'were'} not run"
    return " ".join([*sentences, f"{rest}."])


def _quoted(lead: str, entries: Sequence[Entry]) -> str:
    """Return a sentence with the claims of a verdict."""
    if not entries:
        return f"{lead} none."
    shown = "; ".join(f"“{entry['sentence'].rstrip('.')}”" for entry in entries[:LONGEST])
    more = len(entries) - LONGEST
    return f"{lead} {len(entries)}: {shown}{f'; {UNSHOWN}' if more > 0 else ''}."


def against_paper(ledger: Ledger, context: FigureContext) -> list[list[str]]:
    """Return a row for every comparison of which the paper gives both values.

    Args:
        ledger: of the study.
        context: labels.

    Returns:
        Claim, difference in words, the paper's difference, and ours with its interval; of two
        replicates, both of them.
    """
    rows = []
    for entry in ledger.entries:
        metric = metric_of(entry["metric"])
        named = labels(entry["groups"], metric, context)
        values = [group.get("reported", group.get("constant")) for group in entry["groups"]]
        for comparison in entry["comparisons"]:
            first, second = comparison["first"], comparison["second"]
            if values[first] is None or values[second] is None:
                continue
            if "constant" in entry["groups"][first] or "constant" in entry["groups"][second]:
                continue
            of_paper = metric.factor * (values[first] - values[second])
            ours = found_effect(comparison, named, metric)
            rows.append(
                [
                    entry["sentence"],
                    ours["difference"],
                    f"{number(of_paper, metric.decimals, signed=True)} {metric.difference_unit}",
                    f"{ours['value']} {ours['interval']}",
                ]
            )
    return rows
