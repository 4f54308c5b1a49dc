"""A signal that comes as a context manager is about to end its block."""

import signal
import time
from types import SimpleNamespace

import pytest

from incbayes.core.errors import stopped_by
from incbayes.jobs import console


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_the_end_of_a_block_comes_again_once_it_has_ended(number, tmp_path):
    log, reached = tmp_path / "log", []
    with pytest.raises(SystemExit) as end, console.job("a job", log):
        handler = signal.getsignal(number)
        handler(number, SimpleNamespace(f_code=console.LEAVING))
        reached.append("the rest of the context manager")
        time.sleep(5)
        reached.append("the signal did not come")
    assert reached == ["the rest of the context manager"]
    assert end.value.code == stopped_by(number)
    assert console.STOPPED[end.value.code] in log.read_text()
