"""The report of a study: tables, provenance, and one self-contained page."""
