"""Negative log-likelihood after temperature scaling (Guo et al. 2017)."""

from incbayes.metrics.nll import METRIC as BEFORE

METRIC = BEFORE.at_fitted_temperature("NLL after temperature scaling", "NLL, tempered (nats)")
