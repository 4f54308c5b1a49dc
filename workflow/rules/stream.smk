"""Streams: prepares a part that has arrived, fits its stage, and scores it. Earlier parts may be gone."""

SPLIT_FILES = {
    "train": "train.safetensors",
    "test": "test.safetensors",
    "checksums": "checksums.json",
}


wildcard_constraints:
    part=r"[^/]+",


if STREAM_PLAN.streams:

    rule prepare_part:
        input:
            untimed(lambda w: str(STREAM_PLAN.part_source(w.stream, w.part))),
        output:
            **{
                split: f"{STREAM_DATA}/{name}".replace("{dataset}", "{stream}")
                for split, name in SPLIT_FILES.items()
            },
        log:
            "results/data/logs/{stream}/{part}.log",
        wildcard_constraints:
            stream="|".join(STREAM_PLAN.by_data),
        conda:
            "../../envs/incbayes.yaml"
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(60),
        params:
            dataset=lambda wildcards: stream_dataset(wildcards.stream),
            part=lambda wildcards: wildcards.part,
            state=state_of_part,
            code=lambda wildcards: code_of_stream(wildcards.stream),
        script:
            "../scripts/prepare_part.py"

    rule prepare_stream_test:
        input:
            untimed(lambda w: str(STREAM_PLAN.test_source(w.stream))),
        output:
            **{
                split: f"{STREAM_TEST}/{name}".replace("{dataset}", "{stream}")
                for split, name in SPLIT_FILES.items()
            },
        log:
            "results/data/logs/{stream}/test.log",
        wildcard_constraints:
            stream="|".join(STREAM_PLAN.by_data),
        conda:
            "../../envs/incbayes.yaml"
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(60),
        params:
            dataset=lambda wildcards: stream_dataset(wildcards.stream),
            part=None,
            state=state_of_test,
            code=lambda wildcards: code_of_stream(wildcards.stream),
        script:
            "../scripts/prepare_part.py"

    rule prepare_parts:
        input:
            STREAM_PLAN.data_files(PLAN.chosen),

    rule fit_part:
        input:
            checksums=of_part("checksums.json"),
            train=untimed(of_part("train.safetensors")),
            parent=untimed(before("posterior.safetensors")),
            parent_seal=before("posterior.seal.json"),
            weights=untimed(source_posterior),
            weights_seal=seals_of(source_posterior),
            fisher=untimed(source_fisher),
            fisher_seal=seals_of(source_fisher),
            source_checksums=source_data_of_method,
            continued=untimed(continued),
        output:
            posterior=f"{STREAM_STAGE}/posterior.safetensors",
            training=f"{STREAM_STAGE}/training.csv",
            seal=f"{STREAM_STAGE}/posterior.seal.json",
            run=f"{STREAM_STAGE}/run.json",
        log:
            f"{LOGS}/fit/{{experiment}}/{{method}}/{STREAM}/{{block}}/t{{t}}.log",
        benchmark:
            f"{BENCHMARKS}/fit/{{experiment}}.{{method}}.{STREAM}.{{block}}.t{{t}}.tsv"
        priority: 1
        conda:
            "../../envs/incbayes.yaml"
        threads: 1
        resources:
            mem_mb=asked("mem_mb", "stage", parts=1),
            runtime=asked("runtime", "stage", parts=1),
            gpu=PLAN.gpus,
        params:
            block=of_block(PLAN.described_block),
            settings=plainly(settings_of_method),
            parts=names_of_parts,
            continues=continued_digests,
            code=code_of("fit_part", settings_of_method),
        script:
            "../scripts/fit_part.py"

    rule evaluate_part:
        input:
            checksums=of_part("checksums.json", scored=True),
            train=untimed(of_part("train.safetensors", scored=True)),
            held_out=untimed(of_part("test.safetensors", scored=True)),
            test=untimed(of_test("test.safetensors")),
            test_checksums=of_test("checksums.json"),
            posterior=untimed(f"{STREAM_STAGE}/posterior.safetensors"),
            seal=f"{STREAM_STAGE}/posterior.seal.json",
            before=untimed(before("posterior.safetensors")),
            before_seal=before("posterior.seal.json"),
        output:
            metrics=f"{STREAM_STAGE}/metrics.json",
            calibration=f"{STREAM_STAGE}/calibration.csv",
            evidence=f"{STREAM_STAGE}/evidence.parquet",
            drift=f"{STREAM_STAGE}/drift.json",
            seal=f"{STREAM_STAGE}/metrics.seal.json",
        log:
            f"{LOGS}/evaluate/{{experiment}}/{{method}}.{STREAM}.{{block}}.t{{t}}.log",
        benchmark:
            f"{BENCHMARKS}/evaluate/{{experiment}}.{{method}}.{STREAM}.{{block}}.t{{t}}.tsv"
        conda:
            "../../envs/incbayes.yaml"
        threads: 1
        resources:
            mem_mb=asked("mem_mb", "scores", parts=1),
            runtime=asked("runtime", "scores", parts=1),
            gpu=PLAN.gpus,
        params:
            block=of_block(PLAN.described_block),
            settings=plainly(settings_of_method),
            evaluation=evaluation_of,
            parts=names_of_parts,
            metrics=in_one_line(digests_of, METRICS, [*METRICS, *STUDY.evaluation.metrics]),
            code=code_of("evaluate_part", settings_of_method),
        script:
            "../scripts/evaluate_part.py"
