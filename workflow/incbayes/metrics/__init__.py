"""Metrics: numbers of predictions and of what was predicted, one a file.

Planning asks for their facts: a metric's module imports torch and NumPy where it uses them.
"""
