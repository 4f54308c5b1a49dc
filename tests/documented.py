"""Takes the commands out of Markdown pages, as a reader would type them; runs none of them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OURS = ("snakemake", "make", "python", "incbayes")
"""Programs of the commands that a test plans or runs."""

OTHERS = ("cd", "docker", "export", "git", "pip", "source", "squeue", "tar")
"""Programs of commands around ours, which take a network, a cluster or a file of a run."""

SHELLS = ("sh", "bash", "console")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|\n)\n((?: {4}.*\n)+)")
INLINE = re.compile(rf"(?<!`)`(?!incbayes`)((?:{'|'.join(OURS)})(?: [^`]*)?)`(?!`)")
PLACEHOLDER = re.compile(r"(?<![A-Za-z])(?:[A-Z]{2,}|X)(?![A-Za-z=])")


class UnknownCommandError(Exception):
    """A line of a page that no test would look at."""


@dataclass(frozen=True)
class Command:
    """A command as it is typed.

    Attributes:
        page: name of the page that it is on.
        words: of the command line, the program first.
        mentioned: whether it stands in the text, where it may be short for one in a block.
    """

    page: str
    words: tuple[str, ...]
    mentioned: bool

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands(page: Path) -> list[Command]:
    """Return the commands of a page: of its blocks first, then those in its text.

    Raises:
        UnknownCommandError: for a line among commands that begins with an unknown program.
    """
    text = page.read_text(encoding="utf-8")
    lines = [(line, False) for block in _blocks(text) for line in _lines(block)]
    inline = INLINE.finditer(FENCED.sub("", text))
    lines += [(re.sub(r"\s+", " ", match[1]), True) for match in inline]
    found = []
    for line, mentioned in lines:
        for words in _simple_commands(line):
            if words[0] not in OURS + OTHERS:
                raise UnknownCommandError(f"{page.name}: {line}")
            if words[0] in OURS:
                found.append(Command(page.name, words, mentioned))
    return found


def placeholders(words: tuple[str, ...]) -> set[str]:
    """Return what stands in a command for what a reader has to put there, as `DIR`."""
    return {found for word in words for found in PLACEHOLDER.findall(word)}


def _blocks(text: str) -> Iterator[str]:
    """Yield the blocks of a page that hold commands: marked so, or beginning with a program."""
    for language, block in FENCED.findall(text):
        if language in SHELLS or (not language and _program(block) in OURS + OTHERS):
            yield block
    for block in INDENTED.findall(FENCED.sub("\n", text)):
        if _program(block) in OURS + OTHERS:
            yield block


def _program(block: str) -> str:
    return next(iter(block.split()), "")


def _lines(block: str) -> list[str]:
    """Return the lines of a block, those that go on after a backslash as one."""
    return [line for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]


def _simple_commands(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of a line that `&&` joins, without its comment."""
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word != "&&":
            words.append(word)
        elif words:
            yield tuple(words)
            words = []
