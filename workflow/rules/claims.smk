"""Tests the claims of the study on its records, and states them; without claims, no ledger."""


rule claims:
    input:
        records=untimed(f"{RESULTS}/metrics.parquet"),
        seal=f"{RESULTS}/metrics.seal.json",
        runs=untimed(PLAN.dated_runs),
        evidence=untimed(PLAN.evidence_files("evidence.parquet")),
    output:
        json=f"{RESULTS}/claims.json",
        csv=report(f"{RESULTS}/claims.csv", category="Claims", caption="../report/claims.rst"),
        seal=f"{RESULTS}/claims.seal.json",
    log:
        f"{LOGS}/claims.log",
    benchmark:
        f"{BENCHMARKS}/claims/study.tsv"
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=STUDY.study_id,
        claims=for_scripts(plain_claims(claims_of(STUDY))),
        stated=plain_stated(stated(STUDY)),
        reduced=STUDY.reduced,
        tests=in_one_line(PLAN.code_of_claims),
        code=code_digest("scripts.claims"),
    script:
        "../scripts/claims.py"


# Without outputs, so that it does what it says whenever it is asked for; nothing is run.
rule state_claims:
    log:
        f"{LOGS}/state_claims.log",
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        study=plain_study(STUDY),
        published=PUBLISHED,
        results=placed(RESULTS),
    script:
        "../scripts/state_claims.py"
