"""Starts a real Slurm of one node on this machine, and takes it away again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ETC = Path("/etc/slurm")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
CORES, MEMORY_MB = 2, 12000
"""What the node is said to have, whatever the machine has."""

# The credential's life is also how long Slurm waits before it starts a requeued job again.
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=3600
MessageTimeout=5
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# A GPU to schedule for, and none to compute on.
GRES_CONF = "NodeName={host} Name=gpu File=/dev/null\n"


def missing() -> str | None:
    """Return why no Slurm can be started here, or None where one can."""
    if os.geteuid() != 0:
        return "a Slurm of its own takes root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: slurm-wlm, munge)"
    if (ETC / "slurm.conf").exists() and not _abandoned():
        return f"{ETC}/slurm.conf is there already"
    return None


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Run munged, slurmctld and slurmd out of `folder`, and nothing of them afterwards.

    /etc/slurm/slurm.conf is a link to it meanwhile: jobs find their Slurm there alone, as the
    executor takes the variables that could name another place out of their environment.
    """
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    values = {"folder": folder, "host": host, "cores": CORES, "memory": MEMORY_MB}
    values |= {"controller_port": _free_port(), "node_port": _free_port()}
    (folder / "slurm.conf").write_text(SLURM_CONF.format(**values))
    (folder / "gres.conf").write_text(GRES_CONF.format(**values))
    (folder / "owner").write_text(str(os.getpid()))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    with ExitStack() as stack:
        for name in ("slurm.conf", "gres.conf"):
            stack.enter_context(_linked(ETC / name, folder / name))
        files = {"socket": "sock", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
        munge = [f"--{option}={folder}/munge.{suffix}" for option, suffix in files.items()]
        log = folder / "munged.log"
        stack.enter_context(
            _daemon("munged", "--foreground", "--force", f"--log-file={log}", *munge)
        )
        _wait(lambda: (folder / "munge.sock").exists(), "munged")
        stack.enter_context(_daemon("slurmctld", "-D", "-c", log=folder / "slurmctld.log"))
        stack.enter_context(_daemon("slurmd", "-D", "-N", host, log=folder / "slurmd.log"))
        _wait(lambda: ask("sinfo", "-h", "-o", "%T") == "idle", "the node")
        try:
            yield
        finally:
            ask("scancel", "--user", "root")
            _wait(lambda: not ask("squeue", "-h"), "the end of the jobs", raises=False)


def ask(*command: str) -> str:
    """Return what a Slurm command prints."""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _abandoned() -> bool:
    """Return whether the configuration is of a test that was killed."""
    owner = (ETC / "slurm.conf").resolve().with_name("owner")
    return owner.exists() and not Path("/proc", owner.read_text()).exists()


@contextmanager
def _linked(link: Path, target: Path) -> Iterator[None]:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    try:
        yield
    finally:
        if link.is_symlink() and link.readlink() == target:
            link.unlink()


@contextmanager
def _daemon(*command: str, log: Path | None = None) -> Iterator[None]:
    with open(log or os.devnull, "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(condition, what: str, seconds: float = 30, raises: bool = True) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            if raises:
                raise TimeoutError(f"Slurm: {what} took longer than {seconds:g} s")
            return
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
