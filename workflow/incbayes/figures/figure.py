"""What a figure is: numbers made of a study's frames, and a picture drawn from these alone.

Knows names, labels and the files that a figure becomes; knows nothing of colours, of how the
frames were collected, or of the report that shows them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incbayes.figures import FIGURES

if TYPE_CHECKING:  # so that asking for a figure's name or context does not import them
    from matplotlib.figure import Figure
    from pandas import DataFrame

FORMATS = ("svg", "png", "pdf")
TEXT_COLUMNS = ("experiment", "method", "label", "split", "metric", "unit", "quantity", "layer")
"""Of a figure's numbers; all others hold numbers."""


@dataclass(frozen=True)
class Frames:
    """The tidy frames that figures draw from, as `incbayes.collect` returns them.

    Attributes:
        records: one row per value of a metric.
        training: one row per stage, replicate and epoch.
        calibration: one row per stage, replicate, predictor and bin.
    """

    records: "DataFrame"
    training: "DataFrame"
    calibration: "DataFrame"


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
    """

    study: str
    title: str
    methods: Mapping[str, str]
    experiments: Mapping[str, str]
    budget: str
    reduced: bool
    kl_scales: Mapping[tuple[str, str], float]
    scored_shares: Mapping[tuple[str, str], float]

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


def context_of(study: Mapping[str, Any]) -> FigureContext:
    """Return the context of a study in its resolved form."""
    from incbayes.study import chosen_experiments, kl_scale, scored_share

    scales = {
        (experiment, method): kl_scale(study, experiment, method)
        for experiment, description in chosen_experiments(study).items()
        for method in description["methods"]
    }
    return FigureContext(
        study=study["study_id"],
        title=study["title"],
        methods={name: method["label"] for name, method in study["methods"].items()},
        experiments={name: e["title"] for name, e in study["experiments"].items()},
        budget=study["budget"],
        reduced=study["reduced"],
        kl_scales={chain: scale for chain, scale in scales.items() if scale is not None},
        scored_shares={
            (experiment, method): scored_share(study, experiment, method)
            for experiment, description in study["experiments"].items()
            for method in description["methods"]
        },
    )


def all_numbers(data: "DataFrame") -> "DataFrame":
    """Return the numbers as they are, for a figure that shows every chain."""
    return data


@dataclass(frozen=True)
class StudyFigure:
    """One figure of a study.

    Attributes:
        title: its heading.
        caption: how to read it: what is drawn, of which numbers, with what uncertainty.
        alt: what a reader who cannot see it should know.
        numbers: returns one row or more a chain, which depend on no other chain; columns
            `experiment`, `method` and `T` name it.
        draw: returns the picture of such numbers; called within `style.theme`.
        module: the module that defines it.
        arrange: returns which of the numbers are shown, with what depends on several chains.
    """

    title: str
    caption: str
    alt: str
    numbers: "Callable[[Frames, FigureContext], DataFrame]"
    draw: "Callable[[DataFrame, FigureContext], Figure]"
    module: str
    arrange: "Callable[[DataFrame], DataFrame]" = all_numbers


@dataclass(frozen=True)
class FigureFile:
    """A figure as files, for the report.

    Attributes:
        name: its name in the registry.
        title: its heading.
        caption: how to read it.
        alt: text in place of the picture.
        module: the module that made it.
        svg: the picture.
        png: the picture.
        pdf: the picture.
        csv: the numbers in the picture.
    """

    name: str
    title: str
    caption: str
    alt: str
    module: str
    svg: Path
    png: Path
    pdf: Path
    csv: Path


def describe_figure(name: str, folder: Path) -> FigureFile:
    """Return the figure `name` as the files that `write_figure` makes in `folder`."""
    figure: StudyFigure = FIGURES[name]
    return FigureFile(
        name=name,
        title=figure.title,
        caption=figure.caption,
        alt=figure.alt,
        module=figure.module,
        svg=folder / f"{name}.svg",
        png=folder / f"{name}.png",
        pdf=folder / f"{name}.pdf",
        csv=folder / f"{name}.csv",
    )


def load_drawing() -> None:
    """Import all that `write_figure` will, for processes forked from this one."""
    from incbayes.figures import selection, style  # noqa: F401

    for name in FIGURES:
        FIGURES[name]


def figure_numbers(name: str, frames: Frames, context: FigureContext) -> "DataFrame":
    """Return the numbers of the figure `name`.

    Raises:
        ValueError: the frames name a method or an experiment that the study does not.
    """
    from incbayes.figures.selection import check_names

    for frame in (frames.records, frames.training, frames.calibration):
        check_names(frame, context)
    return arranged(name, FIGURES[name].numbers(frames, context), context)


def arranged(name: str, numbers: "DataFrame", context: FigureContext) -> "DataFrame":
    """Return the numbers of chains, perhaps of several runs, as the figure `name` shows them.

    Chain after chain in the study's order, and within a chain as they come.
    """
    from incbayes.figures.selection import in_order

    shown = FIGURES[name].arrange(in_order(numbers, context, "T"))
    shown = shown.drop(columns="label", errors="ignore").reset_index(drop=True)
    shown.insert(2, "label", shown["method"].map(context.methods))
    return shown


def read_numbers(path: Path) -> "DataFrame":
    """Return the numbers of a figure that `write_figure` wrote."""
    import pandas as pd

    text = dict.fromkeys(TEXT_COLUMNS, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])


def write_figure(
    name: str,
    numbers: "DataFrame",
    context: FigureContext,
    folder: Path,
    formats: Sequence[str] = FORMATS,
) -> FigureFile:
    """Write the numbers of the figure `name` as csv into `folder`, and the picture of that file.

    Args:
        name: of the figure.
        numbers: as `figure_numbers` returns them.
        context: labels and order.
        folder: where the files go.
        formats: of the picture, any of `FORMATS`.
    """
    from incbayes.figures import style

    file = describe_figure(name, folder)
    style.save_numbers(numbers, file.csv)
    with style.theme():
        figure = FIGURES[name].draw(read_numbers(file.csv), context)
        style.save_figure(figure, folder / name, formats)
    return file
