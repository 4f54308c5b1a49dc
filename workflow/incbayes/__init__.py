"""Bayesian incremental learning: the posterior of part t-1 is the prior of part t.

The library knows nothing of Snakemake; `workflow/scripts` adapts it to the rules.
"""

__version__ = "0.1.0"
