"""Draws the figures of a study, writes its report, and publishes what was run."""

FIGURE_DATA = {
    "records": f"{RESULTS}/metrics.parquet",
    "training": chain_files(f"{STAGE}/training.csv"),
    "calibration": chain_files(f"{STAGE}/calibration.csv"),
}


rule figures:
    input:
        **FIGURE_DATA,
    output:
        svg=[
            report(
                f"{RESULTS}/figures/{name}.svg",
                category="Figures",
                caption=f"../report/{name}.rst",
                labels={"figure": name},
            )
            for name in FIGURES
        ],
        other=[
            f"{RESULTS}/figures/{name}.{suffix}"
            for name in FIGURES
            for suffix in ("png", "pdf", "csv")
        ],
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
        study=STUDY_DRAWN,
        figures={name: code_digest(FIGURES.module(name)) for name in FIGURES},
    script:
        "../scripts/figures.py"


rule report:
    input:
        records=FIGURE_DATA["records"],
        training=FIGURE_DATA["training"],
        svg=rules.figures.output.svg,
        other=rules.figures.output.other,
        ledger=LEDGER,
        posteriors=chain_files(f"{STAGE}/posterior.safetensors"),
        checksums=experiment_files(f"{DATA}/checksums.json"),
    output:
        page=report(
            f"{RESULTS}/report.html",
            category="Report",
            caption="../report/report.rst",
            labels={"figure": "the whole report"},
        ),
        provenance=f"{RESULTS}/provenance.json",
    log:
        f"{LOGS}/report.log",
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=STUDY_SHOWN,
        command=reproduce(),
        code=code_digest("incbayes.report.html", "incbayes.report.provenance"),
        fitting=code_of_fits(),
        benchmarks=BENCHMARKS,
    script:
        "../scripts/report.py"


# Without outputs, so that it does what it says whenever it is asked for: it adds to what other runs
# published in the same folder, which time stamps say nothing of.
rule publish:
    input:
        records=FIGURE_DATA["records"],
        training=FIGURE_DATA["training"],
        numbers=[f"{RESULTS}/figures/{name}.csv" for name in FIGURES],
        provenance=rules.report.output.provenance,
    log:
        f"{LOGS}/publish.log",
    conda:
        "../../envs/incbayes.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        study=STUDY_SHOWN,
        folder=PUBLISHED,
        benchmarks=BENCHMARKS,
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
        study=STUDY_SHOWN,
        folder=PUBLISHED,
        benchmarks=BENCHMARKS,
    script:
        "../scripts/republish.py"
