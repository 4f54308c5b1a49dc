"""Entry of the workflow: the study, the rules, and what a plain `snakemake` makes.

The study is config.yaml, or the file given by --configfile; see docs/config.md.
"""

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/stream.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"


# The workflow that uses this one as a module says itself what it is.
if workflow.modifier.is_main_snakefile():

    report: "workflow/report/workflow.rst"


rule all:
    input:
        f"{RESULTS}/report.html",
        f"{RESULTS}/metrics.parquet",
        f"{RESULTS}/metrics.csv",
        LEDGER,
