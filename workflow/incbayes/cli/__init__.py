"""The command `incbayes`: what a person does before a study runs, and with its results."""
