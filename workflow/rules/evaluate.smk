"""Scores the stages of a chain, and gathers the records of the study.

One job scores a whole chain: importing torch costs more than scoring a small stage. A
chain's outputs depend on its number of parts, so that there is one rule for each.
"""

for T in PART_COUNTS:

    rule:
        name:
            f"evaluate_T{T}"
        input:
            checksums=data_file("checksums.json"),
            train=images_file("train"),
            test=test_images,
            parts=PARTS.replace("{T}", str(T)),
            posteriors=[
                f"{STAGE}/posterior.safetensors".replace("{T}", str(T)).replace("{t}", f"{t:02d}")
                for t in range(1, T + 1)
            ],
        output:
            metrics=[
                f"{STAGE}/metrics.json".replace("{T}", str(T)).replace("{t}", f"{t:02d}")
                for t in range(1, T + 1)
            ],
            calibration=[
                f"{STAGE}/calibration.csv".replace("{T}", str(T)).replace("{t}", f"{t:02d}")
                for t in range(1, T + 1)
            ],
        log:
            f"{LOGS}/evaluate/{{experiment}}/{{method}}.T{T}.{{block}}.log",
        benchmark:
            f"{BENCHMARKS}/evaluate/{{experiment}}.{{method}}.T{T}.{{block}}.tsv"
        conda:
            "../../envs/incbayes.yaml"
        threads: 1
        resources:
            mem_mb=asked("mem_mb", "scores", parts=T),
            runtime=asked("runtime", "scores", parts=T),
            gpu=GPUS,
        params:
            block=described_block,
            parts=T,
            settings=settings_of_method,
            evaluation=evaluation_of,
            metrics={name: code_digest(METRICS.module(name)) for name in METRICS},
            code=code_of("evaluation", settings_of_method),
        script:
            "../scripts/evaluate.py"


rule collect:
    input:
        metrics=chain_files(f"{STAGE}/metrics.json"),
    output:
        parquet=f"{RESULTS}/metrics.parquet",
        csv=report(f"{RESULTS}/metrics.csv", category="Records", caption="../report/records.rst"),
    log:
        f"{LOGS}/collect.log",
    benchmark:
        f"{BENCHMARKS}/collect/study.tsv"
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("incbayes.collect"),
    script:
        "../scripts/collect.py"
