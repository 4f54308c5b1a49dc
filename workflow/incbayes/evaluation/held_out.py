"""How many held-out images can tell a change from chance; a report asks it, without torch."""

FEWEST = 30
"""Images below which no difference is judged: so few hardly resample."""
