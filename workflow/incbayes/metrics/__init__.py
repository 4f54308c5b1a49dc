"""Metrics: numbers of predicted log-probabilities [N, K] and labels [N], one a file.

Planning asks for their facts: a metric's module imports torch and NumPy where it uses them.
"""
