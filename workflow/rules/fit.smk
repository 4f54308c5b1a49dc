"""Fits a stage: the posterior of stage t-1 is the prior of stage t."""


rule fit:
    input:
        checksums=data_file("checksums.json"),
        train=untimed(data_file("train.safetensors")),
        parts=untimed(parts_file),
        parts_seal=seals_of(parts_file),
        parent=untimed(parent_posterior),
        parent_seal=seals_of(parent_posterior),
        weights=untimed(source_posterior),
        weights_seal=seals_of(source_posterior),
        fisher=untimed(source_fisher),
        fisher_seal=seals_of(source_fisher),
        variance=chosen_variance,
        source_checksums=source_data_of_method,
        continued=untimed(continued),
    output:
        posterior=f"{STAGE}/posterior.safetensors",
        training=f"{STAGE}/training.csv",
        seal=f"{STAGE}/posterior.seal.json",
        run=f"{STAGE}/run.json",
    log:
        f"{LOGS}/fit/{{experiment}}/{{method}}/T{{T}}/{{block}}/t{{t}}.log",
    benchmark:
        f"{BENCHMARKS}/fit/{{experiment}}.{{method}}.T{{T}}.{{block}}.t{{t}}.tsv"
    # Before what only reads posteriors: of the chains, the longest says when the study ends.
    priority: 1
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=asked("mem_mb", "stage"),
        runtime=asked("runtime", "stage"),
        gpu=PLAN.gpus,
    params:
        block=of_block(PLAN.described_block),
        settings=plainly(settings_of_method),
        continues=continued_digests,
        code=code_of("fit", settings_of_method),
    script:
        "../scripts/fit.py"
