"""What a figure must know of a study beside its numbers: names, labels, titles, budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from incbayes.study.model import Study

if TYPE_CHECKING:  # so that asking for a context does not import it
    from pandas import DataFrame

LONGEST_LABEL = 54
"""Characters of a method's label in a picture."""


LONGEST_TITLE = 240
"""Characters of a title in a picture."""


CUT_WORD = 10
"""Characters of a word that is left out whole where a name is shortened within it."""


@dataclass(frozen=True)
class FigureContext:
    """What a figure must know of the study beside the numbers.

    Attributes:
        study: name of the study.
        title: its title.
        methods: label of each method, in the study's order; the order fixes the colours.
        experiments: title of each experiment, in the study's order.
        budget: name of the budget.
        reduced: whether the budget overrides the full study.
        kl_scales: factor of the KL term of each (experiment, method) that has such a term.
        scored_shares: of the test set, for each (experiment, method); 1 is all.
        of_numbers: experiments whose target is a number, and not a class.
        layer_types: of the network of each experiment, as `study.layers.layer_types` returns them.
        draws: of each experiment whose stages before the last are scored with another number of
            draws, that number and the one of the last stage.
    """

    study: str
    title: str
    methods: Mapping[str, str]
    experiments: Mapping[str, str]
    budget: str
    reduced: bool
    kl_scales: Mapping[tuple[str, str], float]
    scored_shares: Mapping[tuple[str, str], float]
    of_numbers: frozenset[str] = frozenset()
    layer_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    draws: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The label of each method as pictures show it: short, and none like another."""
        return shortened(self.methods, LONGEST_LABEL)

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """The title of each experiment as pictures show it."""
        return shortened(self.experiments, LONGEST_TITLE)

    @property
    def shortening(self) -> str:
        """One sentence on names that a picture shows shortened, or an empty text."""
        if self.labels == self.methods and self.titles == self.experiments:
            return ""
        return "Names with … are shortened; the report's table of methods has them in full."

    def left_out(self, what: str) -> str:
        """Return one sentence on experiments that have no such thing, or an empty text.

        Args:
            what: only a prediction of classes has, e.g. `accuracy`.
        """
        titles = [self.experiments[name] for name in self.experiments if name in self.of_numbers]
        if not titles:
            return ""
        return f"Left out: {', '.join(titles)}, whose target is a number, which has no {what}."

    def scored_apart(self, data: "DataFrame") -> str:
        """Return one sentence on methods scored on fewer test images than others, or an empty text.

        Args:
            data: whose experiments and methods are shown.
        """
        shown = set(zip(data["experiment"], data["method"], strict=True))
        found = dict[str, dict[float, list[str]]]()
        for (experiment, method), share in self.scored_shares.items():
            if (experiment, method) in shown:
                labels = found.setdefault(self.titles[experiment], {}).setdefault(share, [])
                labels.append(self.labels[method])
        told = [
            f"{in_percent(share)} for {'; '.join(labels)}{f' ({title})' if len(found) > 1 else ''}"
            for title, shares in found.items()
            for share, labels in shares.items()
            if share < max(shares)
        ]
        lead = "Scored on fewer of the test images than others of the experiment"
        return f"{lead}: {'. '.join(told)}." if told else ""

    @property
    def draws_apart(self) -> str:
        """One sentence on stages that are scored with fewer draws than the last, or an empty text.

        It names the experiments where that is not so of all.
        """
        if not self.draws:
            return ""
        ((before, last),) = set(self.draws.values())  # one setting of the study
        of_some = set(self.draws) != set(self.experiments)
        titles = f" ({', '.join(self.experiments[name] for name in self.draws)})" if of_some else ""
        return (
            f"Stages before the last are scored with {before} draws of the weights, the last with "
            f"{last}{titles}. The more draws, the better the prediction, its NLL above all: the "
            "step to the last stage is in part theirs."
        )

    @property
    def tempering(self) -> str:
        """One sentence on objectives whose KL term is scaled, or an empty text.

        It names the experiments of a method whose scale is not the same in all of them.
        """
        scales = set(self.kl_scales.values()) - {1.0}
        if not scales:
            return ""
        lead = "Tempered objective, no variational bound"
        if set(self.kl_scales.values()) == scales and len(scales) == 1:
            return f"{lead}: KL × {scales.pop():g} in every method that has a KL term."
        of_method: dict[str, set[float]] = {}
        for (_, method), scale in self.kl_scales.items():
            of_method.setdefault(method, set()).add(scale)
        uses: dict[float, dict[str, list[str]]] = {scale: {} for scale in sorted(scales)}
        for (experiment, method), scale in self.kl_scales.items():
            if scale != 1.0:
                titles = uses[scale].setdefault(self.methods[method], [])
                if len(of_method[method]) > 1:
                    titles.append(self.experiments[experiment])
        parts = [
            f"KL × {scale:g} for "
            + "; ".join(
                f"{label} ({', '.join(titles)})" if titles else label
                for label, titles in labels.items()
            )
            for scale, labels in uses.items()
        ]
        return f"{lead}: {'. '.join(parts)}."


def in_percent(fraction: float) -> str:
    """Return a fraction as text: `100 %`, `2.5 %`."""
    return f"{100 * fraction:.4g} %"


def shortened(names: Mapping[str, str], most: int) -> dict[str, str]:
    """Return names of `most` characters or fewer, by their keys, as distinct as they were.

    A longer one loses its middle, as names tell themselves apart at either end; where that is
    not so, its key takes the place.
    """

    def short(name: str, middle: str) -> str:
        if len(name) <= most:
            return name
        kept = max(most - len(middle), 2)
        head, tail = name[: kept - kept // 3], name[len(name) - kept // 3 :]
        return f"{_whole_words(head)}{middle}{_whole_words(tail[::-1])[::-1]}"

    plain = {key: short(name, " … ") for key, name in names.items()}
    shown = list(plain.values())
    return {
        key: name if shown.count(name) == 1 else short(names[key], f" … [{key}] … ")
        for key, name in plain.items()
    }


def _whole_words(text: str) -> str:
    """Return the beginning of a longer text without a word that it cuts, unless that is long."""
    words, _, rest = text.rpartition(" ")
    return words if 0 < len(rest) <= CUT_WORD and words else text.strip()


def context_of(study: Study) -> FigureContext:
    """Return the context of a study in its resolved form."""
    from incbayes.study.chains import chosen_experiments
    from incbayes.study.layers import layer_types
    from incbayes.study.settings import scored_share
    from incbayes.study.tables import is_number
    from incbayes.study.tempering import kl_scale

    scales = {
        (experiment, method): kl_scale(study, experiment, method)
        for experiment, description in chosen_experiments(study).items()
        for method in description.methods
    }
    return FigureContext(
        study=study.study_id,
        title=study.title,
        methods={name: method.label for name, method in study.methods.items()},
        experiments={name: e.title for name, e in study.experiments.items()},
        budget=study.budget,
        reduced=study.reduced,
        kl_scales={chain: scale for chain, scale in scales.items() if scale is not None},
        scored_shares={
            (experiment, method): scored_share(study, experiment, method)
            for experiment, description in study.experiments.items()
            for method in description.methods
        },
        of_numbers=frozenset(
            name
            for name, description in chosen_experiments(study).items()
            if is_number(description.dataset)
        ),
        layer_types={name: layer_types(e.model) for name, e in study.experiments.items()},
        draws=_draws_apart(study),
    )


def _draws_apart(study: Study) -> dict[str, tuple[int, int]]:
    """Return `FigureContext.draws` of a study.

    A stage of a stream was its last once, and is scored like it. Points have no draws.
    """
    from incbayes.study.settings import is_drawn
    from incbayes.study.streams import arrives

    before, last = study.evaluation.samples_before, study.evaluation.samples
    return {
        name: (before, last)
        for name, experiment in study.experiments.items()
        if before != last
        and not arrives(experiment.dataset)
        and max(experiment.parts) > 1
        and any(is_drawn(study.methods[method].family) for method in experiment.methods)
    }
