"""Scores the stages of a chain, and gathers the records of the study.

One job scores a whole chain: importing torch costs more than scoring a small stage. A
chain's outputs depend on its number of parts, so that there is one rule for each.
"""

for T in PLAN.part_counts:

    rule:
        name:
            f"evaluate_T{T}"
        input:
            checksums=data_file("checksums.json"),
            train=untimed(data_file("train.safetensors")),
            test=untimed(test_images),
            outliers=untimed(outlier_images("test.safetensors")),
            outlier_seals=outlier_images("checksums.json"),
            corrupted=untimed(corrupted_images("test.npy")),
            corrupted_seals=corrupted_images("checksums.json"),
            parts=untimed(PARTS.replace("{T}", str(T))),
            parts_seal=seals_of(PARTS.replace("{T}", str(T))),
            posteriors=untimed(PLAN.stage_files("posterior.safetensors", T)),
            seals=PLAN.stage_files("posterior.seal.json", T),
        output:
            metrics=PLAN.stage_files("metrics.json", T),
            calibration=PLAN.stage_files("calibration.csv", T),
            evidence=PLAN.stage_files("evidence.parquet", T)[-1],
            seals=PLAN.stage_files("metrics.seal.json", T),
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
            gpu=PLAN.gpus,
        params:
            block=of_block(PLAN.described_block),
            parts=T,
            settings=plainly(settings_of_method),
            evaluation=evaluation_of,
            metrics=in_one_line(digests_of, METRICS, [*METRICS, *STUDY.evaluation.metrics]),
            code=code_of("evaluate", settings_of_method),
        script:
            "../scripts/evaluate.py"


rule collect:
    input:
        metrics=untimed(PLAN.chain_files(f"{STAGE}/metrics.json")),
        seals=PLAN.chain_files(f"{STAGE}/metrics.seal.json"),
    output:
        parquet=f"{RESULTS}/metrics.parquet",
        csv=report(f"{RESULTS}/metrics.csv", category="Records", caption="../report/records.rst"),
        seal=f"{RESULTS}/metrics.seal.json",
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
        study=STUDY.study_id,
        code=code_digest("scripts.collect", *PLAN.metric_modules),
    script:
        "../scripts/collect.py"
