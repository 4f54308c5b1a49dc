"""What a study has measured so far: the chains of one run beside those published before.

A study that no single machine or day can run is published chain by chain; its claims are judged,
and its figures drawn, on all of them. Knows the files of a published folder; computes no number.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from incbayes.chains import Chain, all_chains, chain_name, chosen_chains, fewest_names
from incbayes.claims.ledger import judge, write_ledger
from incbayes.collect import ordered_records, read_records, write_records
from incbayes.errors import UserError
from incbayes.figures import FIGURES
from incbayes.figures.figure import arranged, context_of, read_numbers, write_figure
from incbayes.figures.selection import in_order
from incbayes.files import atomic_write, write_json
from incbayes.report.convergence import read_ends
from incbayes.report.html import write_report
from incbayes.report.ledger import read_ledger
from incbayes.report.methods import dotted, value
from incbayes.report.provenance import chain_of, in_order_of_stages
from incbayes.report.published import published_page
from incbayes.study import chain_settings, claims_of

CHAIN = ["experiment", "method", "T"]
STUDY, RECORDS, ENDS, PROVENANCE = "study.yaml", "metrics.csv", "convergence.csv", "provenance.json"
KEPT_PICTURE = "svg"


class PublicationError(UserError, ValueError):
    """What was published cannot stand beside what was run, or cannot be read."""


@dataclass(frozen=True)
class Measured:
    """Chains of a study with all that is published of them.

    Attributes:
        study: in its resolved form; `only` names the chains.
        records: every record of them.
        ends: how their stages ended, as `convergence.stage_ends` returns it.
        numbers: of each figure, by its name.
        provenance: as `provenance.collect_provenance` returns it.
    """

    study: Mapping[str, Any]
    records: pd.DataFrame
    ends: pd.DataFrame
    numbers: Mapping[str, pd.DataFrame]
    provenance: Mapping[str, Any]


def read_published(folder: Path) -> Measured | None:
    """Return what a folder holds that `publish` wrote; None where it is absent or empty.

    Raises:
        PublicationError: a file of it is missing or malformed, by its name.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    return Measured(
        _read(folder / STUDY, lambda path: yaml.safe_load(path.read_text(encoding="utf-8"))),
        _read(folder / RECORDS, read_records),
        _read(folder / ENDS, read_ends),
        {name: _read(_numbers_file(folder, name), read_numbers) for name in FIGURES},
        _read(folder / PROVENANCE, lambda path: json.loads(path.read_text(encoding="utf-8"))),
    )


def joined(kept: Measured | None, run: Measured) -> Measured:
    """Return a run with the chains published before that it did not make.

    A chain of the run takes the place of one that was published; one that the study no longer
    describes is dropped.

    Raises:
        PublicationError: a chain that is kept was made with other settings than the study states.
    """
    if kept is None:
        return run
    made, described = set(chosen_chains(run.study)), all_chains(run.study)
    chains = [c for c in described if c in set(chosen_chains(kept.study)) - made]
    _check_settings(chains, kept.study, run.study)
    study = {**run.study, "only": fewest_names(run.study, made.union(chains))}
    context = context_of(study)
    ends = pd.concat([_of(kept.ends, chains), run.ends], ignore_index=True)
    return Measured(
        study,
        ordered_records(pd.concat([_of(kept.records, chains), run.records], ignore_index=True)),
        in_order(ends, context, "T", "t", "replicate").reset_index(drop=True),
        {
            name: arranged(name, pd.concat([_of(kept.numbers[name], chains), numbers]), context)
            for name, numbers in run.numbers.items()
        },
        _joined_provenance(kept.provenance, run.provenance, chains),
    )


def publish(folder: Path, measured: Measured, timings: pd.DataFrame) -> None:
    """Write all that is published of a study: page, report, ledger, figures and their numbers.

    Args:
        folder: where it goes.
        measured: the chains.
        timings: of the jobs of the last run among the sources.

    Raises:
        FileError: something cannot be written.
    """
    study, context = measured.study, context_of(measured.study)
    with atomic_write(folder / STUDY) as partial:
        text = yaml.safe_dump(dict(study), sort_keys=False, allow_unicode=True, width=100)
        partial.write_text(text, encoding="utf-8")
    write_records(measured.records, folder / RECORDS)
    with atomic_write(folder / ENDS) as partial:
        measured.ends.to_csv(partial, index=False, lineterminator="\n")
    write_json(folder / PROVENANCE, measured.provenance)
    figures = [
        write_figure(name, numbers, context, folder / "figures", [KEPT_PICTURE])
        for name, numbers in measured.numbers.items()
    ]
    ledger = None
    if study["claims"]:
        files = folder / "claims.json", folder / "claims.csv"
        write_ledger(judge(claims_of(study), measured.records, study["reduced"]), *files)
        ledger = read_ledger(*files)
    shown = study, measured.records
    write_report(
        folder / "report.html",
        *shown,
        measured.ends,
        figures,
        timings,
        measured.provenance,
        ledger,
    )
    with atomic_write(folder / "README.md") as partial:
        page = published_page(*shown, figures, measured.provenance, ledger)
        partial.write_text(page, encoding="utf-8")


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        what, way_out = " ".join(str(error).split()), "delete its folder to publish this run alone"
        raise PublicationError(f"{path}: {what}; restore it, or {way_out}") from error


def _numbers_file(folder: Path, name: str) -> Path:
    return folder / "figures" / f"{name}.csv"


def _check_settings(
    chains: Collection[Chain], kept: Mapping[str, Any], stated: Mapping[str, Any]
) -> None:
    for chain in chains:
        before, now = (dict(dotted(chain_settings(s, *chain[:2]))) for s in (kept, stated))
        for key in dict.fromkeys([*before, *now]):
            old, new = before.get(key), now.get(key)
            if old != new:
                raise PublicationError(
                    f"{chain_name(chain)} was published with {key} {value(old)}, and the study "
                    f"has {value(new)}: state it as it was, or run the chain again with the rest"
                )


def _of(frame: pd.DataFrame, chains: Collection[Chain]) -> pd.DataFrame:
    """Return the rows of some chains."""
    wanted = set(chains)
    rows = [key in wanted for key in frame[CHAIN].itertuples(index=False, name=None)]
    return frame[rows]


def _joined_provenance(
    kept: Mapping[str, Any], run: Mapping[str, Any], chains: Collection[Chain]
) -> dict[str, Any]:
    """Return the sources in the order in which they were published, with their stages."""
    names = {chain_name(chain) for chain in chains}
    sources = [
        {**source, "chains": [name for name in source["chains"] if name in names]}
        for source in kept["sources"]
    ]
    runs = [made for made in kept["runs"] if chain_of(made) in set(chains)]
    return {
        "sources": [source for source in sources if source["chains"]] + list(run["sources"]),
        "runs": in_order_of_stages([*runs, *run["runs"]]),
    }
