"""The work of each rule, over files: reads inputs, calls the method, writes artifacts.

Usable without Snakemake; `workflow/scripts` only unpacks a rule into these calls.
"""
