"""Names of exchangeable parts (families, models, …) and where their code is.

A registry imports a part only when it is asked for it, so that planning a study
does not pay for importing torch.
"""

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from incbayes.core.errors import CodeFault, UserError, last_word
from incbayes.core.outside import check_not_ours, is_outside, load, parted, source_file


class UnknownNameError(UserError, ValueError):
    """A name that is not registered."""


class KindError(CodeFault, RuntimeError):
    """A registered kind whose module cannot be imported, or that cannot be built."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the most similar allowed name, or an empty string."""
    close = difflib.get_close_matches(str(name), [str(a) for a in allowed], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class Registry(Mapping[str, Any]):
    """A read-only mapping of names to classes, each imported on first use.

    Attributes:
        noun: what the entries are, for error messages, e.g. `family`.
        open: whether a name may also be that of a class outside the library (`core.outside`),
            which is no entry and is imported like one.
    """

    def __init__(self, noun: str, entries: Mapping[str, str], *, open: bool = False):
        """Register `entries`, a mapping of name to `module:Class`."""
        self.noun = noun
        self.open = open
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        if self.open and is_outside(name):
            self.check_outside(name)
            with self.blamed(name, "imported"):
                return load(name)
        if name not in self._entries:
            known = ", ".join(sorted(self._entries))
            raise UnknownNameError(
                f"unknown {self.noun} {name!r}{nearest(name, self._entries)}; known: {known}"
            )
        module, attribute = self.entry(name)
        with self.blamed(name, "imported"):
            return getattr(importlib.import_module(module), attribute)

    def check_outside(self, name: str) -> None:
        """Check the name of a class from outside the library, and that its file is there.

        Raises:
            OutsideError: it is not, or it is one of the library's own.
        """
        check_not_ours(name, self.noun, self._entries)
        source_file(parted(name)[0])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        """Return whether there is such an entry, without importing it."""
        return name in self._entries

    @property
    def modules(self) -> list[str]:
        """The dotted names of the modules of all entries."""
        return [self.module(name) for name in self]

    def module(self, name: str) -> str:
        """Return the dotted name of the module that holds entry `name`, without importing it."""
        return self.entry(name)[0]

    def entry(self, name: str) -> tuple[str, str]:
        """Return module and class of entry `name`, without importing it."""
        if self.open and is_outside(name):
            return parted(name)
        module, _, attribute = self._entries[name].partition(":")
        return module, attribute

    def build(self, spec: Mapping[str, Any]) -> Any:
        """Return an instance from `{"kind": name, **options}`.

        Raises:
            KindError: its module cannot be imported, or it cannot be built with these options.
        """
        options = dict(spec)
        name = options.pop("kind")
        kind = self[name]
        with self.blamed(name, "built"):
            return kind(**options)

    @contextmanager
    def blamed(self, name: str, what: str) -> Iterator[None]:
        """Say of any error in a block which kind's code it is that failed.

        Args:
            name: of the entry.
            what: is done with it, e.g. `built`.

        Raises:
            KindError: naming the entry, its module and what the error says.
        """
        outside = is_outside(name)
        module = "" if outside else f" ({self.module(name)})"
        file = source_file(self.module(name)) if outside else None
        with blaming(f"the {self.noun} {name}{module}", what, file):
            yield


@contextmanager
def blaming(whose: str, what: str, file: Path | None = None) -> Iterator[None]:
    """Say of any error in a block whose code it is that failed.

    Args:
        whose: e.g. `the model mlp (incbayes.models.mlp)`.
        what: is done with it, e.g. `built`.
        file: of the code, where it is not the library's.

    Raises:
        KindError: with both, and what the error says.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever the code of a kind raises
        raise KindError(f"{whose} cannot be {what}: {last_word(error, file)}") from error
