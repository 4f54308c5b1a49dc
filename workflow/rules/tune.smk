"""Chooses settings on validation images; only the target `tune` asks for any of it.

Candidates are chains like any other, of experiments that leave a validation cut out of their
parts, so that the rules which cut, fit and score the study's chains do it for these too.
"""

if not candidates(STUDY):

    rule tune:
        input:
            no_search,

else:

    rule tune:
        input:
            metrics=untimed(PLAN.candidate_files(f"{STAGE}/metrics.json")),
            seals=PLAN.candidate_files(f"{STAGE}/metrics.seal.json"),
        output:
            csv=f"{RESULTS}/{FOLDER}/candidates.csv",
            chosen=f"{RESULTS}/{FOLDER}/chosen.yaml",
        log:
            f"{LOGS}/tune.log",
        benchmark:
            f"{BENCHMARKS}/tune/study.tsv"
        conda:
            "../../envs/incbayes.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(30),
        params:
            search=to_plain(search_of(STUDY)),
            before=plainly(candidates_before),
            order=search_order(STUDY),
            candidates=[dataclasses.asdict(candidate) for candidate in candidates(STUDY)],
            code=code_digest("scripts.tune", *METRICS.modules),
        script:
            "../scripts/tune.py"
