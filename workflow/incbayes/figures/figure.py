"""What a figure is: a pure function of a study's frames and a small context.

Knows names, labels and the files that a figure becomes; knows nothing of colours, of how the
frames were collected, or of the report that shows them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incbayes.figures import FIGURES

if TYPE_CHECKING:  # so that asking for a figure's name or context does not import them
    from matplotlib.figure import Figure
    from pandas import DataFrame

FORMATS = ("svg", "png", "pdf")


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


@dataclass(frozen=True)
class StudyFigure:
    """One figure of a study.

    Attributes:
        title: its heading.
        caption: how to read it: what is drawn, of which numbers, with what uncertainty.
        alt: what a reader who cannot see it should know.
        draw: returns the picture and the numbers in it; called within `style.theme`.
        module: the module that defines it.
    """

    title: str
    caption: str
    alt: str
    draw: "Callable[[Frames, FigureContext], tuple[Figure, DataFrame]]"
    module: str


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


def write_figure(name: str, frames: Frames, context: FigureContext, folder: Path) -> FigureFile:
    """Draw the figure `name` and write it as svg, png, pdf and csv into `folder`.

    Raises:
        ValueError: the frames name a method or an experiment that the study does not.
    """
    from incbayes.figures import style
    from incbayes.figures.selection import check_names

    for frame in (frames.records, frames.training, frames.calibration):
        check_names(frame, context)
    with style.theme():
        figure, data = FIGURES[name].draw(frames, context)
        style.save_figure(figure, data, folder / name)
    return describe_figure(name, folder)
