"""The source task: its network or posterior, the Fisher information, a grid's variance."""


rule pretrain:
    input:
        checksums=first_data("checksums.json"),
        train=untimed(first_data("train.safetensors")),
        parts=untimed(parts_file),
        parts_seal=seals_of(parts_file),
        given=untimed(weights_file),
    output:
        posterior=f"{PRETRAIN}/posterior.safetensors",
        training=f"{PRETRAIN}/training.csv",
        seal=f"{PRETRAIN}/posterior.seal.json",
        run=f"{PRETRAIN}/run.json",
    log:
        f"{LOGS}/pretrain/{{experiment}}/{{block}}.log",
    benchmark:
        f"{BENCHMARKS}/pretrain/{{experiment}}.{{block}}.tsv"
    priority: 1
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=asked("mem_mb", "source"),
        runtime=asked("runtime", "source"),
        gpu=PLAN.gpus,
    params:
        block=of_block(PLAN.described_block),
        part=first_part,
        settings=plainly(settings_of_pretraining),
        given=weights_digest,
        code=code_of("pretrain", settings_of_pretraining),
    script:
        "../scripts/pretrain.py"


rule fit_source:
    input:
        checksums=data_file("checksums.json"),
        train=untimed(data_file("train.safetensors")),
        parts=untimed(parts_file),
        parts_seal=seals_of(parts_file),
    output:
        posterior=f"{PRETRAIN}/{{method}}/posterior.safetensors",
        training=f"{PRETRAIN}/{{method}}/training.csv",
        seal=f"{PRETRAIN}/{{method}}/posterior.seal.json",
        run=f"{PRETRAIN}/{{method}}/run.json",
    log:
        f"{LOGS}/fit_source/{{experiment}}/{{method}}.{{block}}.log",
    benchmark:
        f"{BENCHMARKS}/fit_source/{{experiment}}.{{method}}.{{block}}.tsv"
    priority: 1
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=asked("mem_mb", "source"),
        runtime=asked("runtime", "source"),
        gpu=PLAN.gpus,
    params:
        block=of_block(PLAN.described_block),
        settings=plainly(settings_of_source_fit),
        code=code_of("pretrain", settings_of_source_fit),
    script:
        "../scripts/pretrain.py"


rule fisher:
    input:
        checksums=first_data("checksums.json"),
        train=untimed(first_data("train.safetensors")),
        parts=untimed(parts_file),
        parts_seal=seals_of(parts_file),
        weights=untimed(rules.pretrain.output.posterior),
        weights_seal=rules.pretrain.output.seal,
        given=untimed(weights_of_source_data),
        source_checksums=source_data("checksums.json"),
        source_train=untimed(source_data("train.safetensors")),
    output:
        fisher=f"{PRETRAIN}/fisher_{{fisher}}.safetensors",
        seal=f"{PRETRAIN}/fisher_{{fisher}}.seal.json",
    log:
        f"{LOGS}/fisher/{{experiment}}/{{block}}.{{fisher}}.log",
    benchmark:
        f"{BENCHMARKS}/fisher/{{experiment}}.{{block}}.{{fisher}}.tsv"
    priority: 1
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=asked("mem_mb", "fisher"),
        runtime=asked("runtime", "fisher"),
        gpu=PLAN.gpus,
    params:
        block=of_block(PLAN.described_block),
        part=first_part,
        settings=plainly(settings_of_pretraining),
        images=lambda wildcards: PLAN.given.images(wildcards.experiment),
        code=code_of("fisher", settings_of_pretraining),
    script:
        "../scripts/fisher.py"


rule choose_variance:
    input:
        checksums=data_file("checksums.json"),
        train=untimed(data_file("train.safetensors")),
        parts=untimed(parts_file),
        parts_seal=seals_of(parts_file),
        weights=untimed(source_posterior),
        weights_seal=seals_of(source_posterior),
        source_checksums=source_data_of_method,
    output:
        f"{CHAIN}/prior.json",
    log:
        f"{LOGS}/choose_variance/{{experiment}}/{{method}}.T{{T}}.{{block}}.log",
    benchmark:
        f"{BENCHMARKS}/choose_variance/{{experiment}}.{{method}}.T{{T}}.{{block}}.tsv"
    priority: 1
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=asked("mem_mb", "search"),
        runtime=asked("runtime", "search"),
        gpu=PLAN.gpus,
    params:
        block=of_block(PLAN.described_block),
        settings=plainly(settings_of_method),
        evaluation=evaluation_of,
        code=code_of("choose_variance", settings_of_method),
    script:
        "../scripts/choose_variance.py"
