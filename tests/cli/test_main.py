"""`incbayes` itself: its help fits a screen, its exit codes say how it went, it starts at once."""

import os
import pty
import subprocess
import sys

import pytest
from running import environment

from incbayes import __version__
from incbayes.cli.main import COMMANDS, main

SCREEN = 24, 80
"""Lines and columns of a terminal."""

COMMAND_SCREEN = 40
"""Lines that the help of one command may take."""


def helped(capsys, monkeypatch, *words):
    """Return the lines that `--help` prints."""
    monkeypatch.setenv("COLUMNS", str(SCREEN[1] + 1))
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out.splitlines()


def test_the_help_fits_a_screen_and_names_every_command(capsys, monkeypatch):
    lines = helped(capsys, monkeypatch)
    assert len(lines) <= SCREEN[0] and max(map(len, lines)) <= SCREEN[1]
    assert all(any(line.split()[:1] == [name] for line in lines) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_fits_a_screen_and_says_what_it_does(name, capsys, monkeypatch):
    lines = helped(capsys, monkeypatch, name)
    assert len(lines) <= COMMAND_SCREEN and max(map(len, lines)) <= SCREEN[1]
    words = " ".join(" ".join(lines).split())
    assert " ".join(COMMANDS[name].DESCRIPTION.split()) in words


def test_a_problem_is_one_line_and_exit_code_1(capsys):
    assert main(["show", "there-is-none.safetensors"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err == "there-is-none.safetensors: no such file\n"


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["show"]])
def test_a_wrong_call_is_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "usage: incbayes" in capsys.readouterr().err


def test_it_says_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"incbayes {__version__}\n"


def test_its_help_needs_no_torch_and_has_no_colour_where_none_is_wanted():
    code = (
        "import sys\nfrom incbayes.cli.main import main\n"
        "try:\n    main(['--help'])\nfinally:\n    assert 'torch' not in sys.modules"
    )
    terminal, end = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment() | {"NO_COLOR": "1"}, stdout=end, stderr=end
    )
    os.close(end)
    said = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert done.returncode == 0, said
    assert "exit codes" in said and "\x1b" not in said
