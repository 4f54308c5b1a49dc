"""Profiles for clusters: what they submit and what they make of the answer, with a stand-in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import ROOT

KUBERNETES, GENERIC = ROOT / "profiles/kubernetes", ROOT / "profiles/generic"
SETTINGS = {"INCBAYES_IMAGE": "here/incbayes:1", "INCBAYES_CLAIM": "work", "INCBAYES_MOUNT": "/w"}

STAND_IN = """#!{python}
import json, os, sys
from pathlib import Path
said = Path(os.environ["SAID"])
said.write_text(json.dumps([sys.argv[1:], "" if sys.stdin.isatty() else sys.stdin.read()]))
print(os.environ.get("ANSWER", ""), end="")
sys.exit(int(os.environ.get("CODE", 0)))
"""


@pytest.fixture
def ask(tmp_path):
    """Return a function that runs a script with a stand-in for the cluster's program."""
    for name in ("kubectl", "squeue"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(STAND_IN.format(python=sys.executable))
        program.chmod(0o755)

    def run(script: Path, *words: str, **settings: str):
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        said = tmp_path / "said.json"
        said.unlink(missing_ok=True)
        done = subprocess.run(
            [script, *words],
            cwd=tmp_path,
            env={"PATH": path, "SAID": str(said), **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        heard = json.loads(said.read_text()) if said.is_file() else None
        return done, heard

    return run


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_job_of_kubernetes_asks_for_what_its_rule_does(gpus, ask, tmp_path):
    words = ("2", "3000", "45", str(gpus), "/w/.snakemake/tmp/job 1.sh")
    done, heard = ask(KUBERNETES / "submit.sh", *words, ANSWER="incbayes-x7", **SETTINGS)
    assert (done.returncode, done.stdout) == (0, "incbayes-x7"), done.stderr
    arguments, manifest = heard
    assert arguments[0] == "create" and arguments[-1] == "-"
    job = yaml.safe_load(manifest)
    assert (job["kind"], job["spec"]["backoffLimit"]) == ("Job", 0)
    pod = job["spec"]["template"]["spec"]
    assert pod["activeDeadlineSeconds"] == 45 * 60
    (container,) = pod["containers"]
    assert container["image"] == SETTINGS["INCBAYES_IMAGE"]
    assert container["command"] == ["/bin/sh", words[-1]]
    assert container["workingDir"] == str(tmp_path)
    assert container["resources"]["requests"] == {"cpu": 2, "memory": "3000M"}
    of_gpu = {"nvidia.com/gpu": 1} if gpus else {}
    assert container["resources"]["limits"] == {"memory": "3000M"} | of_gpu
    assert container["volumeMounts"] == [{"name": "shared", "mountPath": "/w"}]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "work"}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_environment_lacks_is_named_and_nothing_is_submitted(name, ask):
    settings = {key: value for key, value in SETTINGS.items() if key != name}
    done, heard = ask(KUBERNETES / "submit.sh", "1", "100", "5", "0", "job.sh", **settings)
    assert done.returncode != 0 and name in done.stderr and heard is None


@pytest.mark.parametrize(
    ("script", "answer", "code", "state"),
    [
        (KUBERNETES, "s1f", 0, "success"),
        (KUBERNETES, "sf1", 0, "failed"),
        (KUBERNETES, "sf", 0, "running"),
        (KUBERNETES, 'Error from server (NotFound): jobs "x" not found', 1, "failed"),
        (KUBERNETES, "Unable to connect to the server", 1, "running"),
        (GENERIC, "COMPLETED", 0, "success"),
        (GENERIC, "PENDING", 0, "running"),
        (GENERIC, "REQUEUED", 0, "running"),
        (GENERIC, "OUT_OF_MEMORY", 0, "failed"),
        (GENERIC, "", 1, "failed"),
    ],
)
def test_the_state_of_a_job_is_told(script, answer, code, state, ask):
    done, (arguments, _) = ask(script / "status.sh", "job-7", ANSWER=answer, CODE=str(code))
    assert (done.returncode, done.stdout) == (0, f"{state}\n"), done.stderr
    assert any("job-7" in word for word in arguments)
