"""The process of one job: started and ended quickly, as most of a short job is neither.

To be imported before torch. What it saves: `python benchmarks/process_start.py`.
"""

import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The library of this checkout, also where PYTHONPATH cannot say so: its folder may have a colon.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# Importing torch makes a great many objects and no garbage; looking for some costs a fifth of it.
gc.disable()
# Until the job listens for it, Ctrl-C ends this process as SIGTERM does: without a traceback. Where
# it is ignored, whoever started the process answers it.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def job(snakemake: Any, title: str) -> Iterator[Any]:
    """Run a script's body as `incbayes.jobs.console.job` does, then end the process.

    The last statement of a script: after a body without an error nothing else is run, not even
    the interpreter's own end, which takes torch apart, object by object. By then every output is
    synced to the disk and the log is closed.
    """
    from incbayes.jobs.console import job as logged

    gc.freeze()
    gc.enable()
    with logged(title, snakemake.log[0], _run_alone(snakemake)) as console:
        yield console
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _run_alone(snakemake: Any) -> str:
    """Return the command that runs the rule's job again and no other."""
    target = shlex.quote([*snakemake.output, snakemake.rule][0])
    return f"{snakemake.config['run_alone']} --cores {snakemake.threads} -- {target}"
