"""Loads and validates the study, and holds what the rules ask of it: paths, inputs, params."""

import dataclasses
import os
import sys
from pathlib import Path

# The library of the checkout that this file is of; in a module that is not the main Snakefile's.
LIBRARY = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
if not (LIBRARY / "incbayes").is_dir():
    sys.exit(f"{LIBRARY}: no folder with the library; clone it, and name the Snakefile by its path")
if {"{", "}"} & set(str(LIBRARY)):
    sys.exit(f"{LIBRARY.parent}: Snakemake takes braces for wildcards; move this checkout")
sys.path.insert(0, str(LIBRARY))
# Scripts import the library from here, also in a conda environment that does not hold it.
search = [str(LIBRARY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, dict.fromkeys(search))))

import incbayes

if Path(incbayes.__file__).resolve().parent != (LIBRARY / "incbayes").resolve():
    sys.exit(
        f"{LIBRARY.parent}: its library is not the one already imported, {incbayes.__file__}; "
        "use one checkout in a run, and import incbayes after it"
    )

from incbayes.orchestration.interruption import IGNORED_BY_JOBS, answer_interrupts

INTERRUPTION = answer_interrupts(workflow)

from incbayes.core.errors import UserError
from incbayes.core.files import check_writable
from incbayes.core.seal import seal_path
from incbayes.kinds import DATASETS, FIGURES, METRICS
from incbayes.orchestration.captions import write_captions
from incbayes.orchestration.code_digest import code_digest as digest_of_code
from incbayes.orchestration.commands import reproducing, running_alone
from incbayes.orchestration.config_files import refuse_repeated
from incbayes.orchestration.failures import watch
from incbayes.orchestration.interpreter import name_for_shells
from incbayes.orchestration.job_rate import lift_default_rate
from incbayes.orchestration.keep_posteriors import refuse_refits
from incbayes.orchestration.kind_modules import check_kinds, code_of_fits, digests_of
from incbayes.orchestration.networks import check_networks
from incbayes.orchestration.partial import OFFER, of_done_chains, unfinished_chains
from incbayes.orchestration.plan import Plan
from incbayes.orchestration.prepared_files import DATA
from incbayes.orchestration.progress import follow
from incbayes.orchestration.report_line import say_report
from incbayes.orchestration.resources import Job, grown
from incbayes.orchestration.size import check_size
from incbayes.orchestration.stream import streams_of
from incbayes.orchestration.stream_plan import STREAM, plan_streams
from incbayes.report.escapes import for_rst, for_scripts
from incbayes.study.blocks import block_replicates
from incbayes.study.continuation import continued_digests as digests_of_files
from incbayes.study.datasets import DUPLICATES, PREPARED, TAKEN_BACK, data_root
from incbayes.study.model import plain_claims, plain_study, to_plain
from incbayes.study.resolve import claims_of
from incbayes.study.statement import plain_stated, stated
from incbayes.study.sources import command_line, load_module_study, load_study
from incbayes.study.stream_seals import stated_data
from incbayes.study.tuning import FOLDER, candidates, search_of, search_order, previous_candidates
from snakemake.shell import shell

if workflow.is_main_process:
    shell.prefix(IGNORED_BY_JOBS)
follow(workflow)
FAILURES = watch(workflow)

# Where a module with a `prefix:` has what is here called `results/…`; for paths that are no
# input or output of a rule, as those Snakemake moves itself.
placed = workflow.modifier.path_modifier.replace_prefix
# What a module calls the rule that adds to what is published.
PUBLISH = workflow.modifier.modify_rulename("publish")
IN_MODULE = not workflow.modifier.is_main_snakefile()
# Where commands that are printed are typed: the checkout, whichever of its two entries was named,
# or the folder of the workflow that takes this one as a module.
TOP = LIBRARY.parent if Path(workflow.basedir).resolve() == LIBRARY.resolve() else workflow.basedir


onsuccess:
    made = Path(placed(RESULTS))
    say_report(workflow, made / "report.html", made / "advice.txt")


onerror:
    FAILURES.explain(INTERRUPTION.begun, OFFER)
    INTERRUPTION.conclude()


def in_one_line(check, *arguments):
    """Return what a function returns, or end Snakemake with the line of its error."""
    try:
        return check(*arguments)
    except UserError as error:
        sys.exit(str(error))


if workflow.is_main_process:  # the command line of a job is Snakemake's own
    in_one_line(refuse_repeated, sys.argv)
in_one_line(check_writable, ".snakemake")
PYTHON = in_one_line(name_for_shells)


onstart:
    lift_default_rate(workflow)
    for folder in (placed(RESULTS), placed("results/data")):
        in_one_line(check_writable, folder)
    in_one_line(refuse_refits, workflow.dag)
    if any(job.rule.name == PUBLISH for job in workflow.dag.needrun_jobs()):
        from incbayes.publication.publish import check_joins

        in_one_line(check_joins, Path(PUBLISHED), STUDY, in_one_line(code_of_fits, STUDY))


def given_study():
    """Return the study: a module's `config:`, else the files given, else config.yaml.

    Snakemake would merge a `configfile:` of the Snakefile with those of --configfile.
    """
    settings = workflow.config_settings.config
    if workflow.modifier.skip_configfile:
        return load_module_study(config, settings)
    files = workflow.overwrite_configfiles if IN_MODULE else workflow.configfiles
    return load_study(files or [LIBRARY.parent / "config.yaml"], settings)


COMMAND_LINE = in_one_line(command_line, workflow.config_settings.config)
PREPARED.folder = Path(placed("results/data"))
STUDY = in_one_line(given_study)
in_one_line(check_size, STUDY)
DATA_ROOT = in_one_line(data_root, STUDY)
UNFINISHED = []
if STUDY.partial:
    done = Path(placed(f"results/{STUDY.study_id}"))
    arrived = in_one_line(streams_of, STUDY, DATA_ROOT, Path(placed("results/data")), done)
    UNFINISHED = [dataclasses.asdict(chain) for chain in unfinished_chains(STUDY, done, arrived)]
    STUDY = in_one_line(of_done_chains, STUDY, done, arrived)
STUDY, STREAM_PLAN = in_one_line(
    plan_streams,
    STUDY,
    DATA_ROOT,
    Path(placed("results/data")),
    Path(placed(f"results/{STUDY.study_id}")),
)
PLAN = Plan(STUDY, STREAM_PLAN)
if workflow.is_main_process and any(STREAM_PLAN.settled.values()):
    from incbayes.orchestration.settled import check_settled

    in_one_line(check_settled, PLAN, DATA_ROOT, Path(placed(f"results/{STUDY.study_id}")))
in_one_line(check_kinds, PLAN.planned)
if workflow.is_main_process:
    in_one_line(check_networks, PLAN.planned)
# Scripts read from the config what changes no result, such as where jobs run; all else they
# get through params, so that Snakemake sees it change. Captions read it too. Not in place: the
# mapping of a module is another workflow's.
config = {**config, **plain_study(STUDY), "data_root": str(DATA_ROOT)}
# Their own markup is not for the words of a study.
config["caption"] = {key: for_rst(getattr(STUDY, key)) for key in ("title", "budget")}
config["run_alone"] = running_alone(
    PYTHON, workflow.main_snakefile, workflow.overwrite_configfiles, COMMAND_LINE
)

RESULTS, PUBLISHED = PLAN.results, placed(PLAN.published)
PARTS, PRETRAIN, CHAIN, STAGE = PLAN.parts, PLAN.pretrain, PLAN.chain, PLAN.stage
LEDGER = PLAN.ledger
LOGS, BENCHMARKS = f"{RESULTS}/logs", f"{RESULTS}/benchmarks"


wildcard_constraints:
    experiment="|".join(PLAN.planned.experiments),
    method="|".join(PLAN.planned.methods),
    T=r"[1-9]\d*",
    t=r"\d\d+",
    block="|".join(PLAN.all_blocks),
    dataset="|".join(PLAN.data_sets) or "-",
    corrupted="|".join(PLAN.corrupted) or "-",
    fisher="empirical|mc|ggn",


def untimed(files):
    """Return an input, or the input function, with files whose time stamps do not count.

    Beside each, a job takes the seal of what made it, which is small, so that Snakemake compares
    it by content, and which changes with every file that it seals. So copied, moved or equal files
    make nothing anew, and whatever changes in content makes anew all that comes of it.
    """
    if callable(files):
        return lambda wildcards: untimed(files(wildcards))
    return [ancient(path) for path in files] if isinstance(files, list) else ancient(files)


def seals_of(files):
    """Return the seals of an input of files, or the input function that does."""
    if callable(files):
        return lambda wildcards: seals_of(files(wildcards))
    if isinstance(files, list):
        return list(dict.fromkeys(seals_of(path) for path in files))
    return str(seal_path(files))


def named(pattern, wildcards, **names):
    """Return a pattern with the wildcards' values in it."""
    return pattern.format(**{**names, **dict(wildcards.items())})


def data_file(name):
    """Return an input function of a file of the experiment's data set."""
    return lambda wildcards: f"{DATA}/{name}".format(dataset=PLAN.data_of(wildcards.experiment))


def test_images(wildcards):
    """Return the test images; nothing for a search, which is decided on validation images."""
    return [] if PLAN.is_search(wildcards.experiment) else data_file("test.safetensors")(wildcards)


def outlier_images(name):
    """Return an input function of a file of the experiment's outlier sets that are data sets."""
    return lambda wildcards: PLAN.outlier_files(wildcards.experiment, name)


def parts_file(wildcards):
    """Return the file of the parts; of the source task, which is in each, that of the first T.

    Nothing of a stream, which is not cut.
    """
    if wildcards.experiment in STREAM_PLAN.streams:
        return []
    return named(PARTS, wildcards, T=PLAN.first_count(wildcards.experiment))


def parent_posterior(wildcards):
    """Return the posterior of stage t-1, which is the prior of stage t; nothing for stage 1."""
    parent = f"{CHAIN}/t{int(wildcards.t) - 1:02d}/posterior.safetensors"
    return named(parent, wildcards) if int(wildcards.t) > 1 else []


def weights_file(wildcards):
    """Return the user's file with the weights to start from; nothing where they are trained."""
    path = in_one_line(PLAN.given.file, wildcards.experiment)
    return [] if path is None else str(path.absolute() if IN_MODULE else path)


def weights_digest(wildcards):
    return in_one_line(PLAN.given.digest, wildcards.experiment)


def source_posterior(wildcards):
    """Return the source task's posterior where the method's prior is made of it."""
    folder = PLAN.source_folder(wildcards.method)
    if folder is None or not is_begun(wildcards):
        return []
    return named(f"{folder}/posterior.safetensors", wildcards)


def source_fisher(wildcards):
    """Return their Fisher information where the method's prior is a Laplace approximation."""
    kind = PLAN.fisher_of(wildcards.experiment, wildcards.method)
    needed = kind and is_begun(wildcards)
    return named(f"{PRETRAIN}/fisher_{kind}.safetensors", wildcards) if needed else []


def source_data_of_method(wildcards):
    """Return the seal of what given weights were fitted to, where the first stage depends on it."""
    name = PLAN.given.data_of(wildcards.experiment, wildcards.method)
    needed = name and is_begun(wildcards)
    return f"{DATA}/checksums.json".format(dataset=name) if needed else []


def source_data(name):
    """Return an input function of a file of what given weights were fitted to; nothing without."""

    def path(wildcards):
        dataset = PLAN.given.data(wildcards.experiment)
        return f"{DATA}/{name}".format(dataset=dataset) if dataset else []

    return path


def weights_of_source_data(wildcards):
    """Return the user's file of weights, whose Fisher information is of the data it came from."""
    return weights_file(wildcards) if PLAN.given.data(wildcards.experiment) else []


def is_begun(wildcards):
    """Return whether a job begins a chain: its first stage, and none that stays as it is."""
    is_stream = "T" not in wildcards.keys()
    return int(wildcards.get("t", 1)) == 1 and not (is_stream and is_settled(wildcards))


def chosen_variance(wildcards):
    """Return the outcome of the search where the method's prior is chosen from a grid."""
    searched = PLAN.searches_variance(wildcards.experiment, wildcards.method)
    needed = searched and int(wildcards.t) == 1
    return named(f"{CHAIN}/prior.json", wildcards) if needed else []


def continued(wildcards):
    """Return the posteriors, of another chain, that stage 1 goes on from; nothing elsewhere."""
    if not is_begun(wildcards):
        return []
    found = in_one_line(PLAN.continued, wildcards.experiment, wildcards.method)
    return [str(path.absolute() if IN_MODULE else path) for path in found]


def continued_digests(wildcards):
    """Return the SHA-256 of each of them, so that stage 1 is fitted anew where one changes."""
    return in_one_line(digests_of_files, continued(wildcards))


def no_search(wildcards):
    """End Snakemake: the target `tune` was asked for where there is nothing to search."""
    sys.exit("tune: the study states no search for what it runs; see docs/tuning.md")


def candidates_before(wildcards):
    """Return the candidates, with scores, that an earlier run of the search brings along."""
    return in_one_line(previous_candidates, STUDY)


def plainly(typed):
    """Return a params function: what a function returns of wildcards, as JSON values."""
    return lambda wildcards: to_plain(typed(wildcards))


def of_block(params):
    """Return a params function of an experiment and a block."""
    return lambda wildcards: params(wildcards.experiment, wildcards.block)


def settings_of_method(wildcards):
    return PLAN.settings(wildcards.experiment, wildcards.method)


def settings_of_pretraining(wildcards):
    return PLAN.settings_of_pretraining(wildcards.experiment)


def settings_of_source_fit(wildcards):
    return PLAN.settings_of_source_fit(wildcards.experiment, wildcards.method)


def evaluation_of(wildcards):
    return PLAN.evaluation(wildcards.experiment, wildcards.method)


def code_of(script, settings):
    """Return a params function: the digest of a script's code and of the kinds that it uses."""
    return lambda wildcards: in_one_line(
        PLAN.code_of, script, wildcards.experiment, settings(wildcards)
    )


def code_digest(*modules):
    """Return the digest of modules; a mistake in one of them ends Snakemake with its line."""
    return in_one_line(digest_of_code, *modules)


def asked(resource, work, parts=None):
    """Return a resource function: what a job of a block asks a cluster for, at every attempt.

    `parts` is T where that is no wildcard of the rule.
    """

    def amount(wildcards, attempt):
        names = wildcards.experiment, wildcards.get("method")
        T = parts or int(wildcards.get("T", 1))
        job = Job(*names, T, len(block_replicates(wildcards.block)), work)
        return getattr(PLAN.demand(job, attempt), resource)

    return amount


def growing(amount):
    """Return a resource function: `amount` at first, more at every further attempt."""
    return lambda wildcards, attempt: grown(amount, attempt)


def reproduce():
    """Return the command that makes this study again; in a module, of what that workflow makes."""
    target = placed(f"{RESULTS}/report.html") if IN_MODULE else None
    return reproducing(workflow.overwrite_configfiles, COMMAND_LINE, TOP, target)
