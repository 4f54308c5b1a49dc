"""The study: one file in YAML, read, checked, completed, and what follows from it."""
