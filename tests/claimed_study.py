"""The small study with a claim, for tests of what a claim may say."""

from small_study import changed

FT, FFG = ({"experiment": "plain", "method": name, "T": 5} for name in ("ft", "ffg"))
ANY = {"by": 0.0, "reason": "any difference counts"}
GREATER = {"kind": "greater", **ANY}
CLAIM = {"sentence": "A sentence.", "relation": GREATER, "groups": [FFG, FT]}


def study(*changes):
    """Return the small study with one claim, and further changes."""
    return changed(("claims", {"good": CLAIM | {"groups": [dict(FFG), dict(FT)]}}), *changes)
