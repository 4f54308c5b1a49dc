"""Where the numbers of a report come from: code, versions, machines, files, and their cost.

Reads run.json and posteriors' bytes, Snakemake's benchmark files and this machine; knows
nothing of metrics, and does not import torch to ask for its version.
"""

import os
import platform
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from incbayes.core.seal import Seal, SealError, read_seal, seal_path
from incbayes.data.prepared import read_images_seal
from incbayes.results.collect import POSTERIOR, CollectError
from incbayes.results.records import block_name, stage_name
from incbayes.results.verification import check_place
from incbayes.study.blocks import block_replicates
from incbayes.study.chains import Chain, all_chains, chain_name, fewest_names
from incbayes.study.model import Study

PACKAGES = (
    "incbayes",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "statsmodels",
    "pandas",
    "scikit-learn",
    "safetensors",
    "matplotlib",
    "seaborn",
    "snakemake",
)
ANY_FOLDER = "DIR"
TIMING_COLUMNS = ["rule", "job", "seconds", "cpu_seconds", "max_rss_mb"]


@dataclass(frozen=True)
class Origin:
    """What a study is made by, and of.

    Attributes:
        command: what a reader types to make the same numbers.
        digest: of the library code that fits and scores stages, as it is now.
        checkout: folder whose git commit is named, where it is a clone.
        weights: SHA-256 of the file of weights of each experiment that has one.
    """

    command: str
    digest: str
    checkout: Path
    weights: Mapping[str, str] = field(default_factory=dict)


def collect_provenance(
    origin: Origin,
    posteriors: Iterable[Path],
    checksums: Mapping[str, Path],
    records: Seal,
    verified: Mapping[str, int],
) -> dict[str, Any]:
    """Return what `write_report` says of the origin of its numbers.

    That is `runs`, a record of each stage, and `sources`, one of each run of Snakemake that
    made some: its command, code, images, given weights, versions and machine, and the `chains` that
    it made.

    Args:
        origin: what the study is made by, and of.
        posteriors: every posterior of the study, with its run.json beside it.
        checksums: of the images of each experiment, a file that preparing them wrote.
        records: the seal of the study's records, which must be of these posteriors.
        verified: numbers of files, as `Verification.summary` returns them.

    Raises:
        SealError: a file is missing, damaged or edited, or not of the posterior that is there.
    """
    runs = _counted([run_of(Path(path), records) for path in posteriors])
    source = {
        "command": origin.command,
        "code_digest": origin.digest,
        "commit": git_commit(origin.checkout),
        "versions": versions(),
        "hardware": hardware(),
        "images": {name: images_of(path) for name, path in checksums.items()},
        **({"weights": dict(origin.weights)} if origin.weights else {}),
        "verified": dict(verified),
        "chains": list(dict.fromkeys(chain_name(chain_of(run)) for run in runs)),
    }
    return {"sources": [source], "runs": runs}


def sources(provenance: Mapping[str, Any], study: Study) -> list[dict[str, Any]]:
    """Return the sources with the fewest names of their chains, of a study in its resolved form.

    The names of a lone source are None. Each says whether its command names `DIR`, of which a page
    says that a folder of data is meant.
    """
    found = provenance["sources"]
    named = {chain_name(chain): chain for chain in all_chains(study)}
    return [
        source
        | {
            "any_folder": f"data_root={ANY_FOLDER}" in shlex.split(source["command"]),
            "names": fewest_names(study, map(named.__getitem__, source["chains"]))
            if len(found) > 1
            else None,
        }
        for source in found
    ]


def for_any_machine(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return provenance whose commands name `DIR` where they named a folder of data by its path.

    Such a path is of the machine that ran them: elsewhere it leads nowhere, and it may tell of a
    person what is nobody's business.
    """
    found = [
        source | {"command": shlex.join(map(_without_path, shlex.split(source["command"])))}
        for source in provenance["sources"]
    ]
    return {**provenance, "sources": found}


def _without_path(word: str) -> str:
    key, given, path = word.partition("=")
    of_one_machine = key == "data_root" and path.startswith(("/", "~"))
    return f"{key}{given}{ANY_FOLDER}" if of_one_machine else word


def images_of(checksums: Path) -> dict[str, str]:
    """Return the SHA-256 of the training and of the test images; of corrupted copies of the latter.

    Raises:
        SealError: naming the file that is missing or malformed.
    """
    return {Path(file).stem: sha256 for file, sha256 in read_images_seal(checksums).files.items()}


def chain_of(run: Mapping[str, Any]) -> Chain:
    """Return the chain that the stage of a run record is one of."""
    return run["experiment"], run["method"], run["T"]


def in_order_of_stages(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return run records by chain, block and stage."""
    return sorted(
        runs, key=lambda run: (*chain_of(run), block_replicates(run["block"])[0], run["t"])
    )


def run_of(posterior: Path, records: Seal) -> dict[str, Any]:
    """Return stage, run record and digests of a posterior: of its file, and of its records.

    Raises:
        SealError: a file of the stage is missing, damaged or edited, or its records are of another
            posterior.
    """
    seal = read_seal(seal_path(posterior), POSTERIOR)
    check_place(seal)
    if posterior.exists():  # that of an early stage of a stream may be deleted
        seal.verified(posterior)
    run = read_seal(posterior.with_name("run.json"), "run", seal.identity, {POSTERIOR: seal})
    identity, name = seal.identity, stage_name(seal.identity)
    if records.facts["posteriors"].get(name) != seal.digest:
        raise SealError(
            f"{records.path}: its records of {name} are not of the posterior that is there; run "
            "the same command again"
        )
    stage = {key: identity[key] for key in ("study", "experiment", "method", "T", "t")}
    digests = {"sha256": seal.files[posterior.name], "records": records.facts["records"][name]}
    if name in records.facts.get("evidence", {}):  # of a chain's last stage
        digests["evidence"] = records.facts["evidence"][name]
    stage |= {"part": identity["part"]} if "part" in identity else {}
    return stage | {"block": block_name(identity["replicates"])} | dict(run.facts) | digests


def _counted(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return run records in order, those of a stream with the T of now, as their records have."""
    last: dict[str, int] = {}
    for run in runs:
        last[run["experiment"]] = max(run["t"], last.get(run["experiment"], 0))
    return in_order_of_stages(
        run | ({"T": last[run["experiment"]]} if "part" in run else {}) for run in runs
    )


def collect_timings(benchmarks: Path) -> pd.DataFrame:
    """Return one row per job from `{benchmarks}/{rule}/….tsv`, as Snakemake writes them.

    Returns:
        Columns `rule`, `job` (path of the file without the suffix), `seconds` (wall),
        `cpu_seconds` and `max_rss_mb`; NaN where a job was too short to be sampled.

    Raises:
        CollectError: naming a file that is no benchmark.
    """
    rows = []
    for path in sorted(Path(benchmarks).rglob("*.tsv")):
        rule, *job = path.relative_to(benchmarks).with_suffix("").parts
        try:
            table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
            table = table[["s", "cpu_time", "max_rss"]].astype(float)
            rows += [[rule, "/".join(job), *run] for run in table.to_numpy().tolist()]
        except (OSError, ValueError, KeyError) as error:
            raise CollectError(f"{path}: not a Snakemake benchmark: {error!r}") from error
    frame = pd.DataFrame(rows, columns=TIMING_COLUMNS)
    numbers = {column: "float64" for column in TIMING_COLUMNS[2:]}
    # A resident size of 0 is that of a job that ended before it was sampled.
    return frame.astype(numbers).assign(
        max_rss_mb=lambda f: f["max_rss_mb"].where(f["max_rss_mb"] > 0)
    )


def rule_costs(timings: pd.DataFrame) -> pd.DataFrame:
    """Return jobs, wall seconds (total, median, longest) and peak memory of each rule."""
    return (
        timings.groupby("rule", sort=True)
        .agg(
            jobs=("seconds", "size"),
            total=("seconds", "sum"),
            median=("seconds", "median"),
            longest=("seconds", "max"),
            max_rss_mb=("max_rss_mb", "max"),
        )
        .reset_index()
    )


def stage_costs(runs: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the median wall seconds of a stage, per replicate, of each method and machine."""
    columns = ["experiment", "method", "T", "device", "threads"]
    frame = pd.DataFrame(
        [[*(run[c] for c in columns), run["seconds"] / len(run["replicates"])] for run in runs],
        columns=[*columns, "seconds"],
    )
    return (
        frame.groupby(columns, sort=False)
        .agg(stages=("seconds", "size"), seconds=("seconds", "median"))
        .reset_index()
    )


def stage_seconds(
    runs: Sequence[Mapping[str, Any]], *keys: str
) -> dict[tuple[Any, ...], list[float]]:
    """Return the wall seconds of the stages, by what their run records say under `keys`."""
    times: dict[tuple[Any, ...], list[float]] = {}
    for run in runs:
        times.setdefault(tuple(run[key] for key in keys), []).append(run["seconds"])
    return times


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            if package == "incbayes":  # run from its source tree
                import incbayes

                found[package] = incbayes.__version__
    return found


def hardware() -> dict[str, str]:
    """Return operating system, processor, memory and, where nvidia-smi is, GPUs."""
    found = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found["memory"] = f"{size / 2**30:.1f} GiB"
    except (ValueError, OSError, AttributeError):  # not on every system
        pass
    gpus = _output(
        "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"
    )
    if gpus:
        found["gpu"] = "; ".join(gpus.splitlines())
    return found


def git_commit(repository: Path) -> str | None:
    """Return the commit of a clone, or None; `-dirty` after it is for uncommitted changes.

    Of files in git, that is; results are none of the code, even where they are kept in git.
    """
    commit = _output("git", "-C", str(repository), "rev-parse", "HEAD")
    status = ("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)results")
    changes = _output("git", "-C", str(repository), *status)
    return f"{commit}-dirty" if commit and changes else commit


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _output(*command: str) -> str | None:
    """Return what a command prints, or None where it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
