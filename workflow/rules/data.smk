"""Prepares data sets once for all studies, and cuts an experiment's into parts."""


rule prepare_data:
    input:
        sources,
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
        code=lambda wildcards: code_digest(
            "incbayes.data.prepared", DATASETS.module(DATA_SETS[wildcards.dataset]["kind"])
        ),
    script:
        "../scripts/prepare_data.py"


rule partition:
    input:
        checksums=data_file("checksums.json"),
        train=images_file("train"),
    output:
        PARTS,
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
        seed=STUDY["seed"],
        replicates=lambda wildcards: list(block_replicates(wildcards.block)),
        partition=lambda wildcards: EXPERIMENTS[wildcards.experiment]["partition"],
        code=code_of_partition,
    script:
        "../scripts/partition.py"
