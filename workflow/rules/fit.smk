"""Fits a stage: the posterior of stage t-1 is the prior of stage t."""


rule fit:
    input:
        checksums=data_file("checksums.json"),
        train=images_file("train"),
        parts=parts_file,
        parent=parent_posterior,
        weights=source_posterior,
        fisher=source_fisher,
        variance=chosen_variance,
    output:
        posterior=f"{STAGE}/posterior.safetensors",
        training=f"{STAGE}/training.csv",
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
        gpu=GPUS,
    params:
        block=described_block,
        settings=settings_of_method,
        code=code_of("stage", settings_of_method),
    script:
        "../scripts/fit.py"
