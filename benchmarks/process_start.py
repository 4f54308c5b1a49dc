"""What starting and ending a process that imports torch costs, and what scripts/process.py saves.

    python benchmarks/process_start.py

Each way is run in turn, several times; take the ratios of the medians, not the seconds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

WAYS = {
    "plain": "import torch",
    "no garbage collection while importing": "import gc; gc.disable(); import torch; gc.freeze()",
    "and no teardown (as jobs do)": "import gc, os; gc.disable(); import torch; os._exit(0)",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(rounds):
        for way, program in WAYS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, env=environment)
            seconds[way].append(time.perf_counter() - start)
    plain = statistics.median(seconds["plain"])
    print("| process | time |")
    print("|---|---|")
    for way, taken in seconds.items():
        print(f"| {way} | ×{statistics.median(taken) / plain:.2f} |")
    print(f"\nplain: {plain:.2f} s")


if __name__ == "__main__":
    main()
