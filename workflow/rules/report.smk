"""Draws the figures of a study, writes its report, and publishes what was run."""

CAPTIONS = in_one_line(write_captions, LIBRARY / "report" / "figure.rst")
FIGURE_DATA = {
    "records": untimed(f"{RESULTS}/metrics.parquet"),
    "training": untimed(PLAN.chain_files(f"{STAGE}/training.csv")),
    "calibration": untimed(PLAN.chain_files(f"{STAGE}/calibration.csv")),
    "seals": [
        f"{RESULTS}/metrics.seal.json",
        *PLAN.chain_files(f"{STAGE}/posterior.seal.json"),
        *PLAN.chain_files(f"{STAGE}/metrics.seal.json"),
    ],
}


rule figures:
    input:
        **FIGURE_DATA,
    output:
        svg=[
            report(
                f"{RESULTS}/figures/{name}.svg",
                category="Figures",
                caption=str(CAPTIONS[name]),
                labels={"figure": name},
            )
            for name in FIGURES
        ],
        other=[
            f"{RESULTS}/figures/{name}.{suffix}"
            for name in FIGURES
            for suffix in ("png", "pdf", "csv")
        ],
        seal=f"{RESULTS}/figures/figures.seal.json",
    log:
        f"{LOGS}/figures.log",
    benchmark:
        f"{BENCHMARKS}/figures/study.tsv"
    conda:
        "../../envs/incbayes.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=for_scripts(PLAN.drawn),
        figures=in_one_line(digests_of, FIGURES, FIGURES),
        code=code_digest("scripts.figures", *PLAN.metric_modules),
    script:
        "../scripts/figures.py"


rule report:
    input:
        records=FIGURE_DATA["records"],
        training=FIGURE_DATA["training"],
        posteriors=untimed(PLAN.posterior_files()),
        runs=untimed(PLAN.chain_files(f"{STAGE}/run.json")),
        seals=FIGURE_DATA["seals"],
        svg=untimed(rules.figures.output.svg),
        other=untimed(rules.figures.output.other),
        figures_seal=rules.figures.output.seal,
        ledger=untimed(LEDGER),
        ledger_seal=seals_of(LEDGER),
        checksums=list(PLAN.image_files("checksums.json").values()),
        drift=untimed(PLAN.drift_files()),
    output:
        page=report(
            f"{RESULTS}/report.html",
            category="Report",
            caption="../report/report.rst",
            labels={"figure": "the whole report"},
        ),
        provenance=f"{RESULTS}/provenance.json",
        advice=f"{RESULTS}/advice.txt",
        pictures=PLAN.claims_pictures,
        seal=f"{RESULTS}/report.seal.json",
    log:
        f"{LOGS}/report.log",
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=for_scripts(PLAN.shown),
        unfinished=for_scripts(UNFINISHED),
        images=list(PLAN.image_files("checksums.json")),
        command=for_scripts(reproduce()),
        code=code_digest("scripts.report", *PLAN.metric_modules, *FIGURES.modules),
        fitting=in_one_line(code_of_fits, PLAN.study),
        weights=lambda wildcards: in_one_line(PLAN.given.digests),
        benchmarks=placed(BENCHMARKS),
    script:
        "../scripts/report.py"


# Without outputs, so that it does what it says whenever it is asked for: it adds to what other runs
# published in the same folder, which time stamps say nothing of.
rule publish:
    input:
        records=FIGURE_DATA["records"],
        training=FIGURE_DATA["training"],
        calibration=FIGURE_DATA["calibration"],
        evidence=untimed(PLAN.evidence_files("evidence.parquet")),
        numbers=untimed([f"{RESULTS}/figures/{name}.csv" for name in FIGURES]),
        figures_seal=rules.figures.output.seal,
        provenance=untimed(rules.report.output.provenance),
        seals=[*FIGURE_DATA["seals"], rules.report.output.seal],
    log:
        f"{LOGS}/publish.log",
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        study=PLAN.shown,
        other_code=PLAN.study.other_code,
        folder=PUBLISHED,
        benchmarks=placed(BENCHMARKS),
    script:
        "../scripts/publish.py"


# Likewise without outputs, and without inputs: nothing is run.
rule republish:
    log:
        f"{LOGS}/republish.log",
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        study=PLAN.shown,
        folder=PUBLISHED,
        benchmarks=placed(BENCHMARKS),
    script:
        "../scripts/republish.py"


# Likewise: it prints which further replicates of what is published decide most claims an hour.
rule next:
    log:
        f"{LOGS}/next.log",
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        study=for_scripts(plain_study(STUDY)),
        folder=PUBLISHED,
        files=list(workflow.overwrite_configfiles),
        settings=for_scripts(COMMAND_LINE),
        top=str(workflow.basedir),
    script:
        "../scripts/next.py"
