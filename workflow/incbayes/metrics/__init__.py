"""The registry of metrics: functions of predicted probabilities [N, K] and labels [N]."""

import math

from incbayes.registry import Registry

METRICS = Registry(
    "metric",
    {
        "accuracy": "incbayes.metrics.scores:accuracy",
        "nll": "incbayes.metrics.scores:nll",
        "brier": "incbayes.metrics.scores:brier",
        "ece": "incbayes.metrics.calibration:expected_calibration_error",
    },
)

BOUNDS = {"accuracy": (0.0, 1.0), "ece": (0.0, 1.0), "brier": (0.0, 2.0), "nll": (0.0, math.inf)}
"""What a metric can be; an accuracy of 98 is a percentage in the wrong place."""
