"""Generates what is derived: the schema of the kinds, docs/config.md, ledgers in docs/claims.md."""
