"""Expected calibration error after temperature scaling (Guo et al. 2017)."""

from incbayes.metrics.ece import METRIC as BEFORE

METRIC = BEFORE.at_fitted_temperature("ECE after temperature scaling", "ECE, tempered (%)")
