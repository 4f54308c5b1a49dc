"""What layers of a network are called where they are shown: `conv 1`, `dense 2`.

In a network that is a plain sequence a layer's name is its place among all modules, `0` or `7`,
which says nothing. Names with words in them, as of one's own modules, are shown as they are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from incbayes.core.outside import is_outside
from incbayes.study.model import KindSpec
from incbayes.study.schema import kind_constraints

CONVOLUTION, DENSE = "conv", "dense"


def layer_types(model: KindSpec) -> tuple[str, ...]:
    """Return the types of the layers that a registered network names by numbers, in their order.

    Args:
        model: with its options. Its class says of what layers it is, as `count_weights` reads it;
            of one that does not, such as a class of one's own, the types are unknown: none.
    """
    if is_outside(model.kind):  # whose file need not be there where a study is only shown
        return ()
    facts = kind_constraints("model", model.kind)
    if "hidden_units" in facts:
        return (DENSE,) * (len(model.options[facts["hidden_units"]]) + 1)
    if "layout" not in facts:
        return ()
    types = [CONVOLUTION if "convolution" in layer else DENSE for layer in facts["layout"]]
    return (*types, DENSE)


def layer_titles(types: Sequence[str], names: Sequence[str]) -> Mapping[str, str]:
    """Return what layers are shown as, by their names.

    Args:
        types: of the layers that are named by a number, in the order of these numbers. Where they
            are not as many as the names, it is not known which is which, and none is used.
        names: of layers, each once.
    """
    numbered = sorted(filter(str.isdigit, names), key=int)
    if len(numbered) != len(types):
        return {name: f"layer {name}" if name.isdigit() else name for name in names}
    seen: Counter[str] = Counter()
    titles = {name: name for name in names}
    for name, of_type in zip(numbered, types, strict=True):
        seen[of_type] += 1
        titles[name] = f"{of_type} {seen[of_type]}"
    return titles
