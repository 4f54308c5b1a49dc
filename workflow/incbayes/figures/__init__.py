"""The registry of figures, in the order in which the report shows them.

Importing it costs nothing, so that planning a study may ask for the figures' names; a new
figure is one file and one line here.
"""

from incbayes.registry import Registry

FIGURES = Registry(
    "figure",
    {
        "accuracy_by_parts": "incbayes.figures.accuracy_by_parts:FIGURE",
        "stages": "incbayes.figures.stages:FIGURE",
        "reliability": "incbayes.figures.reliability:FIGURE",
        "forgetting": "incbayes.figures.forgetting:FIGURE",
        "kl_and_width": "incbayes.figures.kl_and_width:FIGURE",
        "training": "incbayes.figures.training:FIGURE",
    },
)
