"""What the workflow asks before, while and after Snakemake runs a study."""
