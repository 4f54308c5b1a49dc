"""The registry of metrics: functions of predicted probabilities [N, K] and labels [N]."""

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
