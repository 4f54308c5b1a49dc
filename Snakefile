"""The workflow, from the top of the checkout: what workflow/Snakefile holds."""


include: "workflow/Snakefile"


# Snakemake takes no default target from what is included.
workflow.default_target = workflow.default_target or workflow.modifier.modify_rulename("all")
