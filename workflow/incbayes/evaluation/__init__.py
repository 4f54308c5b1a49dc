"""Scores of posteriors, and the choice of a prior by them."""
