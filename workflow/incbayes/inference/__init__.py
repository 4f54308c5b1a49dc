"""Fitting one stage: Algorithm 1 of Kochurov et al. (2018), its schedule and its checkpoints."""
