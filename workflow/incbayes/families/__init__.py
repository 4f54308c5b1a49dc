"""Posterior families: the forms that q(w) may take."""
