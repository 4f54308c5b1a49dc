"""A published study as a Workflow Run RO-Crate: what was run, by which command, of what, with what.

It follows RO-Crate 1.1 and the profiles Process Run Crate 0.5, Workflow Run Crate 0.5 (Leo et al.
2024, https://w3id.org/ro/wfrun/workflow) and Workflow RO-Crate 1.0. Knows the files and the
provenance of a published folder; reads no number.
"""

import itertools
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rocrate.model import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from incbayes.core.files import atomic_write, sha256_file, write_json
from incbayes.orchestration.commands import SNAKEFILE
from incbayes.publication.croissant import data_sets_of
from incbayes.study.chains import chain_name
from incbayes.study.model import Study

METADATA, WORKFLOW, SETTINGS = "ro-crate-metadata.json", "workflow/Snakefile", "study.yaml"
"""Files of a published folder: its description, where Snakemake starts, what was asked for."""

LICENSE = "https://spdx.org/licenses/MIT"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}
"""Media types by the ending of a file; one without an ending is text."""

Properties = dict[str, Any]


def write_crate(folder: Path, study: Study, provenance: Mapping[str, Any]) -> None:
    """Describe a published folder, of which every file but this one and the seal is written.

    Args:
        folder: of the publication.
        study: in its resolved form.
        provenance: as `provenance.collect_provenance` returns it.

    Raises:
        FileError: something cannot be written.
    """
    with atomic_write(folder / WORKFLOW) as partial:
        shutil.copyfile(SNAKEFILE, partial)
    sources = provenance["sources"]
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    crate.metadata["conformsTo"] = [
        {"@id": "https://w3id.org/ro/crate/1.1"},
        {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
    ]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    made = [_file(crate, folder, path) for path in files if path != folder / WORKFLOW]
    crate.get("README.md")["about"] = crate.root_dataset
    settings = [entity for entity in made if entity.id == SETTINGS]
    spans = [span_of(source["chains"], provenance["runs"], sources) for source in sources]
    _describe(crate, study, spans)
    workflow = _workflow(crate, folder, sources[-1]["versions"])
    crate.root_dataset["mentions"] = [
        _action(crate, f"#run-{number}", source, span)
        for number, (source, span) in enumerate(zip(sources, spans, strict=True), 1)
    ]
    for path, used in data_sets_of(study, sources).items():
        for number, experiment in itertools.product(range(1, len(sources) + 1), used.experiments):
            data, description = crate.get(f"#run-{number}-data-{experiment}"), crate.get(path)
            if data and description:  # none in what was published before there were any
                data["subjectOf"] = description
    for action in crate.root_dataset["mentions"]:
        action["instrument"] = workflow
        action["object"] = [*settings, *action.get("object", [])]
        action["result"] = [entity for entity in made if entity not in settings]
    write_json(folder / METADATA, crate.metadata.generate())


Span = tuple[datetime, datetime] | None
"""When the first stage began and the last ended; None where that is not known of a run."""


def span_of(
    chains: Sequence[str],
    runs: Iterable[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
) -> Span:
    """Return the span of a run; None where a chain of it has replicates of another run, too.

    Args:
        chains: names of those that the run made.
        runs: the stages of all.
        sources: the runs, with their chains.
    """
    if any(sum(chain in source["chains"] for source in sources) > 1 for chain in chains):
        return None
    stages = [
        (datetime.fromisoformat(run["started"]), timedelta(seconds=run["seconds"]))
        for run in runs
        if chain_name((run["experiment"], run["method"], run["T"])) in chains
    ]
    return min(begun for begun, _ in stages), max(begun + lasted for begun, lasted in stages)


def _describe(crate: ROCrate, study: Study, spans: Sequence[Span]) -> None:
    """Say of the folder what it is, of which date, and by which profiles it is described."""
    root = crate.root_dataset
    root["name"] = study.title
    root["description"] = (
        f"What the study {study.study_id} measured: settings, records, claims, figures and report "
        "of chains of Bayesian posteriors, each the prior of the next."
    )
    known = [span[1] for span in spans if span]
    root["datePublished"] = _moment(max(known)) if known else None
    root["license"] = crate.add(
        ContextEntity(crate, LICENSE, {"@type": "CreativeWork", "name": "MIT License"})
    )
    root["conformsTo"] = [
        crate.add(
            ContextEntity(crate, name, {"@type": "CreativeWork", "name": title, "version": version})
        )
        for name, (title, version) in PROFILES.items()
    ]


def _workflow(crate: ROCrate, folder: Path, versions: Mapping[str, str]) -> Entity:
    return crate.add_workflow(
        folder / WORKFLOW,
        WORKFLOW,
        main=True,
        lang="snakemake",
        lang_version=versions.get("snakemake"),
        properties={
            "name": "incbayes",
            "description": "The entry of the workflow. Its rules and its library are those of the "
            "commit that each run names.",
            "version": versions.get("incbayes", "unknown"),
            **_content(folder / WORKFLOW),
        },
    )


def _action(crate: ROCrate, name: str, source: Mapping[str, Any], span: Span) -> Entity:
    """Add a run: its command, its machine, the versions it used, and the images it read."""
    chains = source["chains"]
    images = [
        crate.add(
            ContextEntity(
                crate,
                f"{name}-data-{experiment}",
                {
                    "@type": "Dataset",
                    "name": f"the data of {experiment}",
                    "description": "; ".join(
                        f"sha256 of the {split} images: {digest}"
                        for split, digest in sorted(digests.items())
                    ),
                },
            )
        )
        for experiment, digests in sorted(source["images"].items())
        if any(chain.partition(".")[0] == experiment for chain in chains)
    ]
    facts = {f"version of {library}": found for library, found in source["versions"].items()}
    facts |= {"commit": source["commit"], "digest of the code": source["code_digest"]}
    facts |= source["hardware"]
    described: Properties = {
        "@type": "CreateAction",
        "name": f"{len(chains)} chains, by {source['command']}",
        "description": f"Chains: {', '.join(chains)}",
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    if span:
        described |= {"startTime": _moment(span[0]), "endTime": _moment(span[1])}
    action = crate.add(ContextEntity(crate, name, described))
    action["object"] = images
    action["additionalProperty"] = [
        crate.add(
            ContextEntity(
                crate,
                f"{name}-{key.replace(' ', '-')}",
                {"@type": "PropertyValue", "name": key, "value": str(value)},
            )
        )
        for key, value in facts.items()
        if value is not None
    ]
    return action


def _file(crate: ROCrate, folder: Path, path: Path) -> Entity:
    name = path.relative_to(folder).as_posix()
    return crate.add_file(path, name, properties={"name": name, **_content(path)})


def _content(path: Path) -> Properties:
    return {
        "encodingFormat": FORMATS.get(path.suffix, "text/plain"),
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_file(path),
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
