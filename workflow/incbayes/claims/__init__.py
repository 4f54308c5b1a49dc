"""Claims of a paper as tests on metrics, with verdicts that are corrected for their number."""
