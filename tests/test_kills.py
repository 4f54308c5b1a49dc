"""A stage's process killed with -9, at moments drawn from a seed: nothing is lost or half there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fault_table import survived

HERE = Path(__file__).parent
KILLS = 20

KILLER = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}, {library!r}]
from tiny_chain import tiny_chain
from incbayes.posterior import read_posterior

folder, moments = Path({folder!r}), random.Random(2018)
chain = tiny_chain(folder).trained(epochs=2)

def start(attempt):
    # A fork has the imports already; this process itself computes nothing, so forking it is safe.
    pid = os.fork()
    if pid == 0:
        attempt.fit(2)
        os._exit(0)
    return pid

def finish(pid):
    assert os.waitpid(pid, 0)[1] == 0

def wait_for_a_partial(stage, pid):
    while not list(stage.glob(".*.partial")) and os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(2e-4)

begun = time.monotonic()
if os.fork() == 0:
    chain.fit(1)
    os._exit(0)
os.wait()
begun = time.monotonic()
finish(start(chain))
seconds, undisturbed = time.monotonic() - begun, chain.digests(2)
parent = chain.digests(1)
outcomes = []
for kill in range({kills}):
    attempt = chain.at(folder / f"kill{{kill}}").saving(0.01)
    shutil.copytree(chain.posterior(1).parent, attempt.posterior(1).parent)
    stage = attempt.posterior(2).parent
    stage.mkdir()
    pid = start(attempt)
    if kill % 2:
        for _ in range(moments.randrange(1, 6)):
            wait_for_a_partial(stage, pid)
    else:
        time.sleep(moments.uniform(0, 1) * seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    left = sorted(path.name for path in stage.iterdir())
    if attempt.posterior(2).exists():
        read_posterior(attempt.posterior(2))
    finish(start(attempt))
    outcomes.append({{
        "while_writing": bool(kill % 2),
        "left": left,
        "same": attempt.digests(2) == undisturbed and attempt.digests(1) == parent,
        "files": sorted(path.name for path in stage.iterdir()),
    }})
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What was left by each kill of a stage's process, and what came of it."""
    code = KILLER.format(
        tests=str(HERE),
        library=str(HERE.parent / "workflow"),
        folder=str(tmp_path_factory.mktemp("kills")),
        kills=2 * KILLS,
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("moments", ["random moments", "random moments in which it writes"])
def test_a_stage_killed_at_any_moment_ends_in_the_same_bits(outcomes, moments):
    chosen = [o for o in outcomes if o["while_writing"] == ("writes" in moments)]
    assert len(chosen) == KILLS and all(outcome["same"] for outcome in chosen)
    whole = [".claim", "posterior.safetensors", "run.json", "training.csv"]
    assert all(outcome["files"] == whole for outcome in chosen)
    interrupted = [o for o in chosen if "posterior.safetensors" not in o["left"]]
    assert len(interrupted) > KILLS / 3, "too many kills came after the end"
    if "writes" in moments:
        assert any(name.endswith(".partial") for o in chosen for name in o["left"])
    survived(
        f"kill -9 of the process of a stage, at {moments}",
        KILLS,
        "the same checksums as undisturbed, parent included; no temporary file is left",
    )
