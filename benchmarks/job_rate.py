"""What Snakemake's own process costs while jobs wait: with its default limit on jobs, and without.

    python benchmarks/job_rate.py --write docs/performance.md

Runs the default study from nothing on one core, so that jobs wait, once as it is, where the
workflow lifts Snakemake's limit of 100 jobs a second, and once with a limit of 101, which stays.
The processor time of Snakemake's own process is read while it runs; that of jobs does not count.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from common import command_line, write_block

ROOT = Path(__file__).parents[1]
LIMITED = ("--max-jobs-per-timespan", "101/1s")


def measured(*options: str) -> tuple[float, float]:
    """Return wall seconds of the default study, and processor seconds of Snakemake itself."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        words += ["--configfile", str(ROOT / "config.yaml"), "--directory", scratch]
        words += ["--cores", "1", "--quiet", "all", *options]
        start, spent = time.perf_counter(), 0.0
        run = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process = psutil.Process(run.pid)
        while run.poll() is None:
            used = process.cpu_times()
            spent = max(spent, used.user + used.system)
            time.sleep(0.2)
        if run.returncode:
            sys.exit("a run failed")
    return time.perf_counter() - start, spent


def main() -> None:
    """Measure, print, and write where that is asked for."""
    chosen = command_line(__doc__).parse_args()
    rows = {"limited": measured(*LIMITED), "lifted": measured()}
    lines = [
        "The default study on one core, once each.",
        "",
        "| limit on jobs a second | Snakemake's own processor seconds | of the wall time |",
        "|---|---|---|",
    ]
    for name, (wall, spent) in rows.items():
        lines.append(f"| {name} | {spent:.1f} | {100 * spent / wall:.0f} % |")
    text = "\n".join(lines)
    print(text)
    if chosen.write:
        write_block(chosen.write, "job rate", text)


if __name__ == "__main__":
    main()
