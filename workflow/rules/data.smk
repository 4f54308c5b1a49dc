"""Prepares data sets once for all studies, and cuts an experiment's into parts."""


rule prepare_data:
    input:
        untimed(sources),
    output:
        train=f"{DATA}/train.safetensors",
        test=f"{DATA}/test.safetensors",
        checksums=f"{DATA}/checksums.json",
    log:
        "results/data/logs/{dataset}.log",
    benchmark:
        "results/data/benchmarks/{dataset}.tsv"
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        dataset=plainly(lambda wildcards: PLAN.data_sets[wildcards.dataset]),
        state=state_of_data,
        code=lambda wildcards: code_digest(
            "scripts.prepare_data", DATASETS.module(PLAN.data_sets[wildcards.dataset].kind)
        ),
    script:
        "../scripts/prepare_data.py"


# Soon, so that files of other images are refused before hours of fitting and not after them.
rule prepare_corrupted:
    input:
        checksums=of_corrupted("checksums.json"),
        test=untimed(of_corrupted("test.safetensors")),
        files=untimed(corrupted_sources),
    output:
        copies=f"{CORRUPTED}/test.npy",
        checksums=f"{CORRUPTED}/checksums.json",
    log:
        "results/data/logs/{corrupted}.log",
    benchmark:
        "results/data/benchmarks/{corrupted}.tsv"
    priority: 2
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        shift=plainly(lambda wildcards: PLAN.corrupted[wildcards.corrupted].prepared),
        state=state_of_corrupted,
        code=lambda wildcards: code_digest(
            "scripts.prepare_corrupted",
            SHIFTS.module(PLAN.corrupted[wildcards.corrupted].shift.kind),
        ),
    script:
        "../scripts/prepare_corrupted.py"


rule partition:
    input:
        checksums=data_file("checksums.json"),
        train=untimed(data_file("train.safetensors")),
    output:
        parts=PARTS,
        seal=seals_of(PARTS),
    log:
        f"{LOGS}/partition/{{experiment}}/T{{T}}/{{block}}.log",
    benchmark:
        f"{BENCHMARKS}/partition/{{experiment}}.T{{T}}.{{block}}.tsv"
    priority: 1
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        block=of_block(PLAN.cut_of_block),
        code=code_digest("scripts.partition"),
    script:
        "../scripts/partition.py"
