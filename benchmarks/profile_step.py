"""Where the time of a training step goes, by operation.

    python benchmarks/profile_step.py ffg --precision bf16
    python benchmarks/profile_step.py --write docs/performance.md

Shares of one thread's time within the step, from torch's profiler, which itself slows small
operations down a little.
"""

import torch
from common import SHAPES, UNTIMED, Contestant, command_line, random_part, show, training_of
from torch.profiler import ProfilerActivity, profile

WARMUP, STEPS = 3, 12


def shares(family: str, model: str, batch: int, precision: str) -> dict[str, float]:
    """Return the share of every operation in the time of a step, largest first."""
    contestant = Contestant({"kind": family}, model, training_of(batch, precision))
    contestant.run(random_part(model, batch * (WARMUP + UNTIMED)))
    part = random_part(model, batch * STEPS)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        contestant.run(part)
    times = {event.key: event.self_cpu_time_total for event in recorded.key_averages()}
    total = sum(times.values())
    return {name: times[name] / total for name in sorted(times, key=times.get, reverse=True)}


def table(family: str, model: str, batch: int, precision: str, rows: int) -> str:
    """Return the largest shares as a table."""
    found = shares(family, model, batch, precision)
    lines = [
        f"`{family}`, {model}, {batch} images a minibatch, {precision}:",
        "",
        "| operation | share of the step |",
        "|---|---|",
    ]
    largest = list(found.items())[:rows]
    lines += [f"| `{name.removeprefix('aten::')}` | {share:.0%} |" for name, share in largest]
    lines.append(f"| {len(found) - rows} others | {1 - sum(s for _, s in largest):.0%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Profile, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("families", nargs="*", default=["ffg", "mnf", "planar"])
    parser.add_argument("--model", choices=SHAPES, default="lenet5")
    parser.add_argument("--batch", type=int, default=128, help="images per minibatch")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--rows", type=int, default=10)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = chosen.model, chosen.batch, chosen.precision, chosen.rows
    tables = (table(family, *settings) for family in chosen.families)
    show(tables, chosen.write, "profile")


if __name__ == "__main__":
    main()
