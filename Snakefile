"""Entry of the workflow: the study, the rules, and what a plain `snakemake` makes.

The study is config.yaml, or the file given by --configfile; see docs/config.md.
"""

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.html",
        f"{RESULTS}/metrics.parquet",
        f"{RESULTS}/metrics.csv",
        LEDGER,
