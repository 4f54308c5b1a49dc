"""What the workflow costs beside the work: the default study's wall time, and planning.

    python benchmarks/orchestration.py --write docs/performance.md

Runs the default study from nothing in a folder of its own, then plans a study of about 2,000
jobs. A job's time is Snakemake's own measurement of its process; starting one, which imports
torch, is measured apart. On a machine with other work to do the numbers mean little.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml
from common import command_line, write_block

ROOT = Path(__file__).parent.parent
CORES = 2
PLANNED = {
    "study": "planned",
    "replicates": 10,
    "replicates_per_block": 1,
    "experiments": {
        "digits": {"dataset": "digits", "model": "digits_net", "parts": [50], "methods": ["a", "b"]}
    },
    "methods": {"a": {"family": "ffg"}, "b": {"family": "mnf"}},
}
PLANNED["experiments"] |= {"again": PLANNED["experiments"]["digits"]}
IMPORT = "import gc, os; gc.disable(); import incbayes.jobs.fit; os._exit(0)"


def snakemake(folder: Path, *options: str) -> float:
    """Return the seconds that a run of Snakemake with its results in `folder` takes."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    subprocess.run(
        [*command, "--directory", str(folder), "--cores", str(CORES), *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def start_seconds() -> float:
    """Return what a job takes to start: a process that imports what a fit imports."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", IMPORT], env=environment, check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def job_seconds(folder: Path) -> pd.Series:
    """Return the number of jobs and their seconds, by rule."""
    rows = [
        {"rule": path.relative_to(folder).parts[3], "seconds": pd.read_csv(path, sep="\t")["s"][0]}
        for path in folder.glob("results/*/benchmarks/*/*.tsv")
    ]
    return pd.DataFrame(rows).groupby("rule")["seconds"].agg(["count", "sum"])


def study_text() -> str:
    """Run the default study and return what it took."""
    with tempfile.TemporaryDirectory() as scratch:
        wall = snakemake(Path(scratch), "--configfile", str(ROOT / "config.yaml"))
        jobs = job_seconds(Path(scratch))
    total, count = jobs["sum"].sum(), int(jobs["count"].sum())
    start = start_seconds()
    work = total - count * start
    lines = [
        f"Default study, {CORES} cores: {wall:.0f} s from start to report, {count} jobs.",
        "",
        "| | seconds | wall time is |",
        "|---|---|---|",
        f"| all jobs' processes, divided by cores | {total / CORES:.0f} | "
        f"×{wall * CORES / total:.2f} |",
        f"| the same less {start:.1f} s a job for starting | {work / CORES:.0f} | "
        f"×{wall * CORES / work:.2f} |",
        "",
        "| rule | jobs | seconds in all |",
        "|---|---|---|",
    ]
    ordered = jobs.sort_values("sum", ascending=False)
    lines += [f"| {row.Index} | {row.count_} | {row.sum_:.0f} |" for row in renamed(ordered)]
    return "\n".join(lines)


def renamed(jobs: pd.DataFrame):
    """Return rows with names that no method of a tuple hides."""
    return jobs.rename(columns={"count": "count_", "sum": "sum_"}).itertuples()


def planning_text() -> str:
    """Plan the large study and return what that took."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "planned.yaml"
        file.write_text(yaml.safe_dump(PLANNED), encoding="utf-8")
        seconds = snakemake(Path(scratch), "--configfile", str(file), "--dry-run", "--quiet", "all")
    experiment = PLANNED["experiments"]["digits"]
    chains = len(PLANNED["experiments"]) * len(experiment["methods"]) * PLANNED["replicates"]
    jobs = chains * experiment["parts"][0]
    return f"Planning {jobs} stages in {chains} chains (`snakemake -n`): {seconds:.1f} s."


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--only-planning", action="store_true", help="do not run the default study")
    chosen = parser.parse_args()
    text = planning_text()
    if not chosen.only_planning:
        text = f"{study_text()}\n\n{text}"
    print(text)
    if chosen.write:
        write_block(chosen.write, "orchestration", text)


if __name__ == "__main__":
    main()
