"""What a study has measured so far: the chains of one run beside those published before.

A study that no single machine or day can run is published chain by chain; its claims are judged,
and its figures drawn, on all of them. Knows the files of a published folder; computes no number.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from msgspec.structs import replace

from incbayes.claims.history import History, Runs, codes_of, first_runs
from incbayes.claims.images import of_publication
from incbayes.claims.ledger import judge, write_ledger
from incbayes.core.files import atomic_write, write_json
from incbayes.core.seal import Seal, SealError, write_seal
from incbayes.figures.against_paper import write_against_paper
from incbayes.figures.claims import write_claims_figure
from incbayes.figures.context import context_of
from incbayes.figures.rows import final_stage
from incbayes.figures.write import read_numbers, write_figure
from incbayes.kinds import FIGURES
from incbayes.publication.crate import write_crate
from incbayes.publication.croissant import write_croissants
from incbayes.publication.folders import atomic_folder, restore_folder
from incbayes.publication.kept import (
    CHAIN,
    Kept,
    PublicationError,
    check_code,
    check_origins,
    kept_replicates,
    rows_kept,
    runs_kept,
)
from incbayes.publication.numbers import joined_numbers, numbers_file, ordered, together, with_gaps
from incbayes.publication.page import published_page
from incbayes.publication.verified import (
    ARTIFACT,
    RECORDS,
    SEAL,
    evidence_files,
    evidence_of_runs,
    stage_of,
    verify_publication,
)
from incbayes.report.advice import advise
from incbayes.report.claims_table import read_ledger
from incbayes.report.convergence import STAGE, read_ends
from incbayes.report.html import Numbers, write_report
from incbayes.report.next_table import steps_of
from incbayes.report.provenance import chain_of, for_any_machine, in_order_of_stages
from incbayes.results.collect import ordered_records, read_records, write_records
from incbayes.results.evidence import published_name
from incbayes.results.frames import Frames
from incbayes.study.chains import Chain, chain_name, chosen_chains, fewest_names
from incbayes.study.model import Study, shown_study
from incbayes.study.resolve import claims_of, resolve_study
from incbayes.study.statement import stated
from incbayes.study.streams import arrives

STUDY, ENDS, PROVENANCE = "study.yaml", "convergence.csv", "provenance.json"
TRAINING, CALIBRATION = "training.parquet", "calibration.parquet"
FRAME_COLUMNS = [*STAGE, "replicate", "epoch", "bin"]
"""Of a frame without rows."""

KEPT_PICTURE = "svg"
DERIVED = ("study_id", "reduced")
"""What a resolved study holds beside what a study may state."""

NOT_READ = (*DERIVED, "claims", "stated")
"""Of a published study."""

WAY_OUT = "restore it, or delete its folder to publish this run alone"


@dataclass(frozen=True)
class Measured:
    """Chains of a study with all that is published of them.

    Attributes:
        study: in its resolved form; `only` names the chains.
        records: every record of them.
        ends: how their stages ended, as `convergence.stage_ends` returns it.
        numbers: of each figure, by its name.
        provenance: as `provenance.collect_provenance` returns it.
        training: the rows of training.csv, of the chains of which they are published.
        calibration: those of calibration.csv that a figure is made of, likewise.
        evidence: what the last stage of a chain says of every image, the bytes of its file by the
            name of the stage, likewise.
    """

    study: Study
    records: pd.DataFrame
    ends: pd.DataFrame
    numbers: Mapping[str, pd.DataFrame]
    provenance: Mapping[str, Any]
    training: pd.DataFrame
    calibration: pd.DataFrame
    evidence: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def frames(self) -> Frames:
        """What figures are made of, of the replicates of which it is published."""
        return Frames(self.records, self.training, self.calibration)


def read_published(folder: Path) -> Measured | None:
    """Return what a folder holds that `publish` wrote; None where it is absent or empty.

    Raises:
        PublicationError: a file of it is missing, edited or malformed, by its name.
    """
    restore_folder(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    try:
        seal = verify_publication(folder)
    except SealError as error:
        raise PublicationError(f"{error}; {WAY_OUT}") from error
    return _published(folder, seal)


def _published(folder: Path, seal: Seal) -> Measured:
    """Return what a folder holds, once it is verified by its seal."""
    found = Measured(
        _read(folder / STUDY, _read_study),
        _read(folder / RECORDS, read_records),
        _read(folder / ENDS, read_ends),
        {name: _read(numbers_file(folder, name), _read_numbers) for name in FIGURES},
        _read(folder / PROVENANCE, _read_provenance),
        _read(folder / TRAINING, _read_frame),
        _read(folder / CALIBRATION, _read_frame),
        {stage: path.read_bytes() for stage, path in evidence_files(folder, seal).items()},
    )
    named = set(map(chain_name, chosen_chains(found.study)))
    for file, frame in ((RECORDS, found.records), (ENDS, found.ends)):
        if set(map(chain_name, _keys(frame))) != named:
            detail = f"not of the chains that {STUDY} names"
            raise PublicationError(f"{folder / file}: {detail}; {WAY_OUT}")
    return found


def check_joins(folder: Path, study: Study, code: str) -> None:
    """Check, before anything is run, that a study can be published beside what a folder holds.

    Args:
        folder: of the published study.
        study: in normal form.
        code: digest of the code that fits and scores.

    Raises:
        PublicationError: a file cannot be read, a chain was made with other settings or code, or
            less of a search would be shown than was published.
    """
    streams = [name for name, run in study.experiments.items() if arrives(run.dataset)]
    if streams:
        raise PublicationError(
            f"{streams[0]}: a stream goes on, and what is published is to stay: it has no place in "
            f"{folder}; keep report.html and metrics.csv of the day, or leave it out (key only)"
        )
    kept = read_published(folder)
    if kept:
        check_code(kept, study, kept_replicates(kept, study), code)


def joined(kept: Measured | None, run: Measured) -> Measured:
    """Return a run with the replicates published before that it did not make.

    A replicate of the run takes the place of the published one of its number; a chain that the
    study no longer describes is dropped.

    Raises:
        PublicationError: a replicate that is kept was made with other settings than the study
            states, of other images than the run or, of a chain of the run, by other code; or less
            of a search would be shown.
    """
    if kept is None:
        return replace_frames(run)
    found = kept_replicates(kept, run.study)
    for source in run.provenance["sources"]:
        check_code(kept, run.study, found, source["code_digest"])
    provenance = _joined_provenance(kept.provenance, run.provenance, found)
    check_origins(provenance["sources"])
    made = set(chosen_chains(run.study))
    only = fewest_names(run.study, made | set(found))
    ends = together(rows_kept(kept.ends, found), run.ends)
    study = replace(run.study, only=None if only is None else tuple(only))
    whole = Measured(
        study,
        ordered_records(together(rows_kept(kept.records, found), run.records)),
        ends.sort_values([*STAGE, "replicate"], ignore_index=True),
        {},
        provenance,
        together(rows_kept(kept.training, found), run.training),
        together(rows_kept(kept.calibration, found), run.calibration),
        evidence_of_runs({**kept.evidence, **run.evidence}, provenance["runs"]),
    )
    untouched = {chain: replicates for chain, replicates in found.items() if chain not in made}
    before = {name: rows_kept(numbers, untouched) for name, numbers in kept.numbers.items()}
    added = made & set(found)
    study = _counted(study, whole.records)
    numbers = joined_numbers([before, run.numbers], whole.frames, added, context_of(study))
    return replace_frames(dataclasses.replace(whole, study=study, numbers=numbers))


def replace_frames(measured: Measured) -> Measured:
    """Return the same with its frames in an order that depends on them alone."""
    return dataclasses.replace(
        measured,
        training=ordered(measured.training, "epoch"),
        calibration=ordered(final_stage(measured.calibration), "bin"),
    )


def _counted(study: Study, records: pd.DataFrame) -> Study:
    """Return a study that says how many replicates there are, and not what was last added."""
    counts = records.groupby("experiment")["replicate"].nunique()
    experiments = {
        name: replace(described, replicates=int(counts.get(name, described.replicates)))
        for name, described in study.experiments.items()
    }
    least = int(records["replicate"].min()) if len(records) else 0
    most = int(counts.max()) if len(counts) else study.replicates
    return replace(study, experiments=experiments, replicates=most, first_replicate=least)


def restated(kept: Measured, study: Study) -> Measured:
    """Return what was published as a study states it now: its claims, titles, labels and order.

    Raises:
        PublicationError: a chain was made with other settings than the study states, or less of a
            search would be shown.
    """
    nothing = Measured(
        replace(study, only=()),
        kept.records.iloc[:0],
        kept.ends.iloc[:0],
        {name: numbers.iloc[:0] for name, numbers in kept.numbers.items()},
        {"sources": [], "runs": []},
        kept.training.iloc[:0],
        kept.calibration.iloc[:0],
    )
    return joined(kept, nothing)


def publish(folder: Path, measured: Measured, timings: pd.DataFrame) -> None:
    """Write all that is published of a study: page, report, ledger, figures and their numbers.

    Its commands name no folder of data of one machine.

    Args:
        folder: where it goes.
        measured: the chains.
        timings: of the jobs of the last run among the sources.

    Raises:
        FileError: something cannot be written.
    """
    anywhere = dataclasses.replace(measured, provenance=for_any_machine(measured.provenance))
    with atomic_folder(folder) as partial:
        _write(partial, anywhere, timings)


def _write(folder: Path, measured: Measured, timings: pd.DataFrame) -> None:
    study, records, provenance = measured.study, measured.records, measured.provenance
    context = context_of(study)
    with atomic_write(folder / STUDY) as partial:
        text = yaml.safe_dump(shown_study(study), sort_keys=False, allow_unicode=True, width=100)
        partial.write_text(text, encoding="utf-8")
    write_records(records, folder / RECORDS)
    with atomic_write(folder / ENDS) as partial:
        measured.ends.to_csv(partial, index=False, lineterminator="\n")
    write_json(folder / PROVENANCE, provenance)
    for name, frame in ((TRAINING, measured.training), (CALIBRATION, measured.calibration)):
        if len(frame):
            write_records(frame, folder / name)
    for stage, content in measured.evidence.items():
        with atomic_write(folder / published_name(stage)) as partial:
            partial.write_bytes(content)
    figures = [
        with_gaps(
            write_figure(name, numbers, context, folder / "figures", [KEPT_PICTURE]),
            measured.frames,
        )
        for name, numbers in measured.numbers.items()
    ]
    ledger = None
    if study.claims:
        files = folder / "claims.json", folder / "claims.csv"
        codes = codes_of(provenance["sources"])
        history = History(stated(study), first_runs(provenance["runs"]), codes)
        files_of = {stage: folder / published_name(stage) for stage in measured.evidence}
        evidence = of_publication(files_of)
        entries = judge(claims_of(study), records, study.reduced, history, evidence)
        write_ledger(entries, *files)
        for write in (write_claims_figure, write_against_paper):
            write(entries, context, folder / "figures", [KEPT_PICTURE])
        ledger = read_ledger(*files, folder / "figures")
    steps = steps_of(study, records, provenance["runs"]) if study.claims else []
    # The spread of a target that is a number is not among what is published.
    advice = advise(study, records, measured.training, {})
    shown = Numbers(
        records, measured.ends, figures, timings, provenance, ledger, steps=steps, advice=advice
    )
    write_report(folder / "report.html", study, shown)
    with atomic_write(folder / "README.md") as partial:
        partial.write_text(published_page(study, shown), encoding="utf-8")
    write_croissants(folder, study, provenance["sources"])
    write_crate(folder, study, provenance)
    _seal(folder, measured)


def _seal(folder: Path, measured: Measured) -> None:
    """Seal a published folder: every file, and posterior, records and evidence of every stage."""
    stages = {}
    for run in measured.provenance["runs"]:
        stage = stage_of(run)
        stages[stage] = {"posterior": run["sha256"], "records": run["records"]}
        if stage in measured.evidence:
            stages[stage]["evidence"] = run["evidence"]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    identity = {"study": measured.study.study_id}
    write_seal(folder / SEAL, ARTIFACT, identity, files, facts={"stages": stages})


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise PublicationError(f"{path}: {' '.join(str(error).split())}; {WAY_OUT}") from error


def _read_study(path: Path) -> Study:
    """Return a published study in normal form, with keys that came to be known since.

    Without its claims: they are judged anew as the study now states them, and may have been
    published in an older form.
    """
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    described = {key: value for key, value in written.items() if key not in NOT_READ}
    described["budgets"] = {
        name: {key: value for key, value in budget.items() if key not in NOT_READ}
        for name, budget in written.get("budgets", {}).items()
    }
    return resolve_study(described)


def _read_frame(path: Path) -> pd.DataFrame:
    """Return numbers of replicates; none where they were not yet published."""
    return pd.read_parquet(path) if path.exists() else pd.DataFrame(columns=FRAME_COLUMNS)


def _read_numbers(path: Path) -> pd.DataFrame:
    """Return the numbers of a figure; none where there was no such figure yet."""
    return read_numbers(path) if path.exists() else pd.DataFrame(columns=CHAIN)


def _read_provenance(path: Path) -> dict[str, Any]:
    provenance = json.loads(path.read_text(encoding="utf-8"))
    if not (provenance["runs"] and all(source["chains"] for source in provenance["sources"])):
        raise ValueError("no runs or no chains in it")
    return provenance


def _keys(frame: pd.DataFrame) -> list[Chain]:
    return list(frame[CHAIN].itertuples(index=False, name=None))


def _joined_provenance(
    kept: Mapping[str, Any], run: Mapping[str, Any], found: Kept
) -> dict[str, Any]:
    """Return the sources in the order in which they were published, with their stages."""
    names = {chain_name(chain) for chain in found}
    sources = [
        {**source, "chains": [name for name in source["chains"] if name in names]}
        for source in kept["sources"]
    ]
    known = first_runs(kept["runs"])
    made = [{**new, "first_started": _first_started(new, known)} for new in run["runs"]]
    return {
        "sources": [source for source in sources if source["chains"]] + list(run["sources"]),
        "runs": in_order_of_stages([*map(dict, runs_kept(kept["runs"], found)), *made]),
    }


def _first_started(run: Mapping[str, Any], known: Runs) -> str:
    """Return when the replicates of a run were first run, those that it takes the place of too."""
    first = datetime.fromisoformat(run.get("first_started", run["started"]))
    before = [known.get((*chain_of(run), replicate), first) for replicate in run["replicates"]]
    return min([first, *before]).isoformat(timespec="seconds")
