"""Figures: numbers made of a study's frames, and pictures drawn from these alone."""
