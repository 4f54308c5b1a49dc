"""Tests the claims of the study on its records; a study without claims has no ledger."""


rule claims:
    input:
        records=f"{RESULTS}/metrics.parquet",
    output:
        json=f"{RESULTS}/claims.json",
        csv=report(f"{RESULTS}/claims.csv", category="Claims", caption="../report/claims.rst"),
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
        claims=claims_of(STUDY),
        reduced=STUDY["reduced"],
        tests={
            claim["relation"]["kind"]: code_digest(CLAIM_TESTS.module(claim["relation"]["kind"]))
            for claim in STUDY["claims"].values()
        },
        code=code_digest("incbayes.claims.ledger"),
    script:
        "../scripts/claims.py"
