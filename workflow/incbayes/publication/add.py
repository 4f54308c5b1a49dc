"""Adds what a run measured to what is published of its study."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from incbayes.figures.write import read_numbers, sealed_figures
from incbayes.kinds import FIGURES
from incbayes.publication.kept import PublicationError
from incbayes.publication.publish import (
    Measured,
    joined,
    publish,
    read_published,
    restated,
)
from incbayes.report.convergence import stage_ends
from incbayes.report.html import sealed_provenance
from incbayes.report.provenance import collect_timings
from incbayes.results.collect import collect_calibration, collect_training, sealed_records
from incbayes.results.evidence import sealed_evidence
from incbayes.study.chains import Chain, chain_name, chosen_chains
from incbayes.study.model import Study


@dataclass(frozen=True)
class RunFiles:
    """Files of a run that are published.

    Attributes:
        records: metrics.parquet.
        training: the training.csv of every stage.
        calibration: the calibration.csv of every stage.
        evidence: the evidence.parquet of every chain's last stage.
        numbers: the csv of every figure, in the registry's order.
        figures: the seal of the figures.
        provenance: of the report.
    """

    records: Path
    training: Sequence[Path]
    calibration: Sequence[Path]
    evidence: Sequence[Path]
    numbers: Sequence[Path]
    figures: Path
    provenance: Path


def add_run(study: Study, files: RunFiles, folder: Path, benchmarks: Path) -> list[str]:
    """Publish a run beside what is published, and return what was done, in lines.

    Args:
        study: in normal form.
        files: of the run.
        folder: of the published study.
        benchmarks: folder of the times that rules took.

    Raises:
        SealError: a file of the run is damaged or edited, or of other posteriors.
        PublicationError: the run cannot stand beside what is published.
    """
    run = _measured(study, files)
    published = read_published(folder)
    measured = joined(published, run)
    publish(folder, measured, collect_timings(benchmarks))
    now, made = (set(chosen_chains(of.study)) for of in (measured, run))
    before = set(chosen_chains(published.study)) if published else set()
    done = (
        ("published", made),
        ("shown beside them", now - made),
        ("dropped, as the study does not describe them", before - now),
    )
    return [f"{what}: {_named(chains)}" for what, chains in done if chains]


def publish_anew(study: Study, folder: Path, benchmarks: Path) -> None:
    """Judge and show anew what is published of a study; arguments as for `add_run`.

    Raises:
        PublicationError: nothing is published there, or it cannot be read.
    """
    published = read_published(folder)
    if published is None:
        raise PublicationError(f"{folder}: nothing is published there")
    publish(folder, restated(published, study), collect_timings(benchmarks))


def _measured(study: Study, files: RunFiles) -> Measured:
    """Return what a run measured, verified to be of one and the same posteriors."""
    name = study.study_id
    records, seal = sealed_records(files.records, name)
    training = collect_training(files.training)
    calibration = collect_calibration(files.calibration)
    for collected in (training, calibration):
        collected.check_posteriors(seal)
    evidence = {sealed_evidence(path, seal).stage: path.read_bytes() for path in files.evidence}
    sealed_figures(files.figures.parent, name, seal)
    return Measured(
        study,
        records,
        stage_ends(training.frame, study),
        {name: read_numbers(path) for name, path in zip(FIGURES, files.numbers, strict=True)},
        sealed_provenance(files.provenance, name, seal),
        training.frame,
        calibration.frame,
        evidence,
    )


def _named(chains: Iterable[Chain]) -> str:
    return ", ".join(map(chain_name, sorted(chains)))
