"""Names of exchangeable parts (families, models, …) and where their code is.

A registry imports a part only when it is asked for it, so that planning a study
does not pay for importing torch.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from incbayes.errors import UserError


class UnknownNameError(UserError, ValueError):
    """A name that is not registered."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the most similar allowed name, or an empty string."""
    close = difflib.get_close_matches(str(name), [str(a) for a in allowed], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class Registry(Mapping[str, type]):
    """A read-only mapping of names to classes, each imported on first use.

    Attributes:
        noun: what the entries are, for error messages, e.g. `family`.
    """

    def __init__(self, noun: str, entries: Mapping[str, str]):
        """Register `entries`, a mapping of name to `module:Class`."""
        self.noun = noun
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> type:
        if name not in self._entries:
            known = ", ".join(sorted(self._entries))
            raise UnknownNameError(
                f"unknown {self.noun} {name!r}{nearest(name, self._entries)}; known: {known}"
            )
        module, attribute = self._entries[name].split(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self):
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def module(self, name: str) -> str:
        """Return the dotted name of the module that holds entry `name`, without importing it."""
        return self._entries[name].partition(":")[0]

    def build(self, spec: Mapping[str, Any]) -> Any:
        """Return an instance from `{"kind": name, **options}`."""
        options = dict(spec)
        return self[options.pop("kind")](**options)
