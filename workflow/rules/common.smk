"""Loads and validates the study, and holds what the rules ask of it: paths, inputs, params."""

import dataclasses
import itertools
import json
import os
import shlex
import sys
from functools import cache
from pathlib import Path

LIBRARY = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(LIBRARY))
# Scripts import the library from here, also in a conda environment that does not hold it.
search = [str(LIBRARY), os.environ.get("PYTHONPATH")]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, search)))

from incbayes.claims import CLAIM_TESTS
from incbayes.code_digest import code_digest
from incbayes.data import DATASETS, PIXELS
from incbayes.errors import UserError
from incbayes.failures import watch
from incbayes.families import FAMILIES
from incbayes.figures import FIGURES
from incbayes.files import check_writable
from incbayes.lost_sources import refuse_refits
from incbayes.metrics import METRICS
from incbayes.models import MODELS
from incbayes.priors import PRIORS
from incbayes.progress import follow
from incbayes.resources import demand, grown, needs_gpu
from incbayes.study import (
    block_replicates,
    blocks,
    chosen_chains,
    chosen_experiments,
    claims_of,
    evaluation_settings,
    method_settings,
    pretrain_training,
    read_yaml,
    resolve_study,
    scored_share,
)
from incbayes.study_data import check_sources, data_name, data_sets, source_files
from incbayes.study_file import typed
from incbayes.study_schema import kind_constraints
from incbayes.tuning import (
    FOLDER,
    candidates,
    search_of,
    search_order,
    tried_before,
    with_candidates,
)
from snakemake.utils import update_config

follow(workflow)
FAILURES = watch(workflow)


onerror:
    FAILURES.explain()


def in_one_line(check, *arguments):
    """Return what a function returns, or end Snakemake with the line of its error."""
    try:
        return check(*arguments)
    except UserError as error:
        sys.exit(str(error))


in_one_line(check_writable, ".snakemake")


onstart:
    for folder in (RESULTS, "results/data"):
        in_one_line(check_writable, folder)
    in_one_line(refuse_refits, workflow.dag)
    if any(job.rule.name == "publish" for job in workflow.dag.needrun_jobs()):
        from incbayes.report.publication import check_joins

        in_one_line(check_joins, Path(PUBLISHED), STUDY_SHOWN)


def load_study():
    """Return the study in normal form.

    Snakemake would merge a `configfile:` of the Snakefile with those of --configfile, and
    two studies are not to be mixed: config.yaml is read only where no other was given.
    """
    written = {}
    for file in workflow.configfiles or [Path(workflow.basedir) / "config.yaml"]:
        update_config(written, read_yaml(file))
    update_config(written, COMMAND_LINE)
    return resolve_study(written)


COMMAND_LINE = typed(workflow.config_settings.config)
STUDY = in_one_line(load_study)
CHOSEN = chosen_experiments(STUDY)
# What chains there are: the study's, and those of its search, which only `tune` asks for.
PLANNED = with_candidates(STUDY)
EXPERIMENTS, METHODS = PLANNED["experiments"], PLANNED["methods"]
BLOCKS = {
    name: blocks(described["replicates"], STUDY["replicates_per_block"])
    for name, described in CHOSEN.items()
}
TUNED_BLOCKS = (
    blocks(STUDY["tune"]["replicates"], STUDY["replicates_per_block"]) if STUDY["tune"] else []
)
DATA_SETS = data_sets(CHOSEN)
# Scripts read from the config what changes no result, such as where jobs run; all else they
# get through params, so that Snakemake sees it change. Captions read it too.
config.update(STUDY)

# What the report shows of the study, where jobs ran it learns from the run records; and figures.
STUDY_SHOWN = {key: value for key, value in STUDY.items() if key not in ("machine", "data_root")}
STUDY_DRAWN = {
    key: value for key, value in STUDY_SHOWN.items() if key not in ("claims", "tune", "tuned")
} | {"experiments": CHOSEN, "only": None}

GPUS = int(needs_gpu(STUDY))

RESULTS = f"results/{STUDY['study_id']}"
PUBLISHED = f"results/published/{STUDY['study_id']}"
DATA = "results/data/{dataset}"
PARTS = f"{RESULTS}/{{experiment}}/parts/T{{T}}/{{block}}.safetensors"
PRETRAIN = f"{RESULTS}/{{experiment}}/pretrain/{{block}}"
CHAIN = f"{RESULTS}/{{experiment}}/{{method}}/T{{T}}/{{block}}"
STAGE = f"{CHAIN}/t{{t}}"
LEDGER = [f"{RESULTS}/claims.json", f"{RESULTS}/claims.csv"] if STUDY["claims"] else []
LOGS, BENCHMARKS = f"{RESULTS}/logs", f"{RESULTS}/benchmarks"
PART_COUNTS = sorted({T for described in CHOSEN.values() for T in described["parts"]})


wildcard_constraints:
    experiment="|".join(EXPERIMENTS),
    method="|".join(METHODS),
    T=r"[1-9]\d*",
    t=r"\d\d+",
    block="|".join(dict.fromkeys(itertools.chain(*BLOCKS.values(), TUNED_BLOCKS))),
    dataset="|".join(DATA_SETS),
    fisher="empirical|mc|ggn",


def chain_files(pattern):
    """Return the files that `pattern` names, of every chain and every stage of it."""
    return [
        pattern.format(experiment=name, method=method, T=T, block=block, t=f"{t:02d}")
        for name, method, T in chosen_chains(STUDY)
        for block in BLOCKS[name]
        for t in range(1, T + 1)
    ]


def experiment_files(pattern):
    """Return the files that `pattern` names, of the data set of every experiment that is run."""
    return [
        pattern.format(dataset=data_name(described["dataset"])) for described in CHOSEN.values()
    ]


def candidate_files(pattern):
    """Return the files that `pattern` names, of the last stage of every candidate's chains."""
    return [
        pattern.format(
            experiment=candidate.derived_experiment,
            method=candidate.derived_method,
            T=T,
            block=block,
            t=f"{T:02d}",
        )
        for candidate in candidates(STUDY)
        for T in EXPERIMENTS[candidate.derived_experiment]["parts"]
        for block in TUNED_BLOCKS
    ]


def no_search(wildcards):
    """End Snakemake: the target `tune` was asked for where there is nothing to search."""
    sys.exit("tune: the study states no search for what it runs; see docs/tuning.md")


def candidates_before(wildcards):
    """Return the candidates, with scores, that an earlier run of the search brings along."""
    return in_one_line(tried_before, STUDY)


def names(wildcards):
    """Return the wildcards as a mapping, to format a path with."""
    return dict(wildcards.items())


def data_file(name):
    """Return an input function of a file of the experiment's data set."""

    def file(wildcards):
        dataset = data_name(EXPERIMENTS[wildcards.experiment]["dataset"])
        return f"{DATA}/{{name}}".format(dataset=dataset, name=name)

    return file


def sources(wildcards):
    """Return the user's own files that a data set is prepared from; nothing for other sets."""
    dataset, data_root = DATA_SETS[wildcards.dataset], Path(STUDY["data_root"])
    of_it = {
        name: of for name, of in CHOSEN.items() if data_name(of["dataset"]) == wildcards.dataset
    }
    in_one_line(check_sources, of_it, data_root, Path("results/data"))
    return [str(path) for path in source_files(dataset, data_root)]


def images_file(split):
    """Return an input function of a split's images, whose time stamp does not count.

    Jobs also take the checksums as input, which are small, so that Snakemake compares their
    content: preparing equal data again refits nothing.
    """
    path = data_file(f"{split}.safetensors")

    def file(wildcards):
        return ancient(path(wildcards))

    return file


def of_a_search(wildcards):
    """Return whether the experiment is one of a search: its parts leave out a validation cut."""
    return "validation" in EXPERIMENTS[wildcards.experiment]["partition"]


def test_images(wildcards):
    """Return the test images; nothing for a search, which is decided on validation images."""
    return [] if of_a_search(wildcards) else images_file("test")(wildcards)


def parts_file(wildcards):
    """Return the file of the parts, whose time stamp does not count.

    What it holds follows from the checksums and from params, which every job that fits has:
    making lost parts again refits nothing.
    """
    names = {"T": EXPERIMENTS[wildcards.experiment]["parts"][0], **dict(wildcards.items())}
    return ancient(PARTS.format(**names))


def parent_posterior(wildcards):
    """Return the posterior of stage t-1, which is the prior of stage t; nothing for stage 1."""
    t = int(wildcards.t)
    return f"{CHAIN}/t{t - 1:02d}/posterior.safetensors".format(**names(wildcards)) if t > 1 else []


def source_of(method):
    """Return what a method's prior takes from the source task: weights, posterior or None."""
    return kind_constraints("prior", METHODS[method]["prior"]["kind"]).get("source")


def source_posterior(wildcards):
    """Return the source task's posterior where the method's prior is made of it.

    The weights of an ordinarily trained network, or the posterior of the method itself.
    """
    source = source_of(wildcards.method)
    if source is None or int(wildcards.get("t", 1)) > 1:
        return []
    folder = PRETRAIN if source == "weights" else f"{PRETRAIN}/{{method}}"
    return f"{folder}/posterior.safetensors".format(**names(wildcards))


def source_fisher(wildcards):
    """Return their Fisher information where the method's prior is a Laplace approximation."""
    kind = settings_of_method(wildcards)["prior"].get("fisher")
    path = f"{PRETRAIN}/fisher_{kind}.safetensors".format(**names(wildcards))
    return path if kind and int(wildcards.t) == 1 else []


def chosen_variance(wildcards):
    """Return the outcome of the search where the method's prior is chosen from a grid."""
    searched = "variances" in settings_of_method(wildcards)["prior"]
    path = f"{CHAIN}/prior.json".format(**names(wildcards))
    return path if searched and int(wildcards.t) == 1 else []


def described_block(wildcards):
    """Return the params that every job of a block has in common."""
    experiment = EXPERIMENTS[wildcards.experiment]
    return {
        "study": STUDY["study_id"],
        "budget": STUDY["budget"],
        "seed": STUDY["seed"],
        "replicates": list(block_replicates(wildcards.block)),
        "model": experiment["model"],
        "pixels": experiment["pixels"],
        "partition": experiment["partition"],
    }


@cache
def cached_settings(experiment, method):
    """Return the settings of a method in an experiment; thousands of jobs share a few of them."""
    return method_settings(PLANNED, experiment, method)


def settings_of_method(wildcards):
    return cached_settings(wildcards.experiment, wildcards.method)


def settings_of_pretraining(wildcards):
    """Return the settings of the source task's training: a plain network, fresh weights."""
    return {
        "family": {"kind": "point"},
        "prior": {"kind": "normal"},
        "training": pretrain_training(PLANNED, wildcards.experiment),
        "objective": STUDY["objective"] | {"kl_scale": 0.0},
    }


def settings_of_source_fit(wildcards):
    """Return the settings of the method itself on the source task, from N(0, sigma²)."""
    settings = settings_of_method(wildcards)
    return settings | {
        "prior": {"kind": "normal", "sigma": settings["prior"]["sigma"]},
        "training": pretrain_training(PLANNED, wildcards.experiment),
    }


def evaluation_of(wildcards):
    """Return how the method's posteriors are evaluated, with the share of the test set."""
    share = scored_share(PLANNED, wildcards.experiment, wildcards.method)
    settings = evaluation_settings(PLANNED, wildcards.method) | {"test_images": share}
    # A search looks at the last stage alone.
    return settings | ({"earlier_samples": 1} if of_a_search(wildcards) else {})


def code_of_partition(wildcards):
    """Return the digest of the code that cuts the experiment's images."""
    cut = "validation" if of_a_search(wildcards) else "partition"
    return code_digest(f"incbayes.data.{cut}")


def code_of(job, settings):
    """Return a params function: the digest of a job's code and of the kinds that it uses."""

    def digest(wildcards):
        used = modules_of_kinds(wildcards.experiment, settings(wildcards))
        return code_digest(f"incbayes.jobs.{job}", *used)

    return digest


def modules_of_kinds(experiment, settings):
    """Return the modules of the kinds that a method with these settings uses in an experiment."""
    described = EXPERIMENTS[experiment]
    return [
        MODELS.module(described["model"]["kind"]),
        PIXELS.module(described["pixels"]["kind"]),
        FAMILIES.module(settings["family"]["kind"]),
        PRIORS.module(settings["prior"]["kind"]),
    ]


def code_of_fits():
    """Return the digest of all code that fits and scores, used or not: runs can be compared."""
    kinds = (MODELS, PIXELS, FAMILIES, PRIORS, METRICS)
    modules = [registry.module(name) for registry in kinds for name in registry]
    jobs = [f"incbayes.jobs.{job}" for job in ("stage", "pretraining", "selection", "evaluation")]
    return code_digest(*jobs, *modules)


@cache
def demanded(experiment, method, parts, replicates, work, attempt):
    return demand(PLANNED, experiment, method, parts, replicates, work, attempt)


def asked(resource, work, parts=None):
    """Return a resource function: what a job of a block asks a cluster for, at every attempt.

    `parts` is T where that is no wildcard of the rule.
    """

    def amount(wildcards, attempt):
        wanted = demanded(
            wildcards.experiment,
            wildcards.get("method"),
            parts or int(wildcards.get("T", 1)),
            len(block_replicates(wildcards.block)),
            work,
            attempt,
        )
        return getattr(wanted, resource)

    return amount


def growing(amount):
    """Return a resource function: `amount` at first, more at every further attempt."""

    def grow(wildcards, attempt):
        return grown(amount, attempt)

    return grow


def study_options(files):
    """Return the options that choose this study, given the paths of its config files."""
    chosen = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in COMMAND_LINE.items()
    ]
    given = [("--configfile", files), ("--config", chosen)]
    return [" ".join([option, *map(shlex.quote, values)]) for option, values in given if values]


def reproduce():
    """Return the command that makes this study again, from the top of the repository."""
    files = [os.path.relpath(file, workflow.basedir) for file in workflow.configfiles]
    return " ".join(["snakemake --cores all", *study_options(files)])


def run_alone():
    """Return the command, from any folder, that makes one file again once `-- FILE` is added.

    Time stamps alone decide what the file still lacks, so that code under change refits nothing
    but that file.
    """
    files = [os.path.abspath(file) for file in workflow.configfiles]
    places = [("--snakefile", workflow.main_snakefile), ("--directory", os.getcwd())]
    return " ".join(
        [
            f"{shlex.quote(sys.executable)} -m snakemake",
            *(f"{option} {shlex.quote(str(path))}" for option, path in places),
            *study_options(files),
            "--rerun-triggers mtime --force",
        ]
    )


config["run_alone"] = run_alone()
