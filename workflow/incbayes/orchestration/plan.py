"""What the rules ask of a study: paths, chains, params, digests of code, demands. No Snakemake.

Every name that depends on a wildcard is a pattern in braces, as rules take it.
"""

import dataclasses
import itertools
from collections.abc import Collection, Mapping
from functools import cache, cached_property, partial
from pathlib import Path

from msgspec.structs import replace

from incbayes.kinds import OF_A_METHOD, OF_SCORES
from incbayes.orchestration.code_digest import code_digest
from incbayes.orchestration.given import GivenWeights
from incbayes.orchestration.kind_modules import (
    OF_A_FIT,
    code_of_claims,
    metric_modules,
    modules_of_scores,
)
from incbayes.orchestration.prepared_files import data_file, image_files
from incbayes.orchestration.resources import Demand, Job, demand, needs_gpu
from incbayes.orchestration.stream_plan import STREAM, StreamPlan
from incbayes.study.blocks import block_replicates, blocks
from incbayes.study.chains import chosen_chains, chosen_experiments
from incbayes.study.continuation import continued_files
from incbayes.study.corrupted import copies_of, corrupted_sets
from incbayes.study.datasets import data_name, data_sets, source_data_sets
from incbayes.study.merging import Plain
from incbayes.study.model import (
    Experiment,
    KindSpec,
    MethodSettings,
    Study,
    plain_study,
    shown_study,
    to_plain,
)
from incbayes.study.model.study import NOT_SHOWN
from incbayes.study.outliers import data_sets_among
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import (
    evaluation_settings,
    method_settings,
    pretrain_training,
    prior_option,
    scored_share,
)
from incbayes.study.shifts import changed_images
from incbayes.study.tuning import candidates, with_candidates

NOT_DRAWN = (*NOT_SHOWN, "claims", "stated", "tune", "tuned", "budgets")
"""Keys of a study that no figure depends on."""


class Plan:
    """A study as the rules see it.

    Attributes:
        study: in normal form, with the parts that have arrived.
        streams: what is to be done for experiments over streams.
        planned: the study and the chains of its search, which only `tune` asks for.
        chosen: the experiments that are run, by name.
        blocks: the blocks of replicates of each of them.
        tuned_blocks: those of the search.
        data_sets: what is prepared, by name.
        corrupted: likewise, corrupted copies of test images.
        results: folder of the study.
        given: weights of files that priors are made from.
    """

    def __init__(self, study: Study, streams: StreamPlan | None = None):
        self.study = study
        self.streams = streams or StreamPlan({}, {}, Path())
        self.planned = with_candidates(study)
        self.chosen = chosen_experiments(study)
        size = study.replicates_per_block
        self.blocks = {
            name: blocks(described.replicates, size, study.first_replicate)
            for name, described in self.chosen.items()
        }
        searched = study.tune
        self.tuned_blocks = blocks(searched.replicates, size) if searched else []
        self.data_sets = data_sets(
            {name: run for name, run in self.chosen.items() if name not in self.streams.streams}
        ) | source_data_sets(self.chosen)
        self.corrupted = corrupted_sets(self.chosen)
        self.results = f"results/{study.study_id}"
        self._settings = cache(partial(method_settings, self.planned))
        self._demand = cache(partial(demand, self.planned))
        self.given = GivenWeights(self.planned, self._settings)

    # ---- Paths ----

    @property
    def published(self) -> str:
        """Folder that the study is published in."""
        return f"results/published/{self.study.study_id}"

    @property
    def parts(self) -> str:
        """Pattern of the file with the indices of every part."""
        return f"{self.results}/{{experiment}}/parts/T{{T}}/{{block}}.safetensors"

    @property
    def pretrain(self) -> str:
        """Pattern of the folder of the source task."""
        return f"{self.results}/{{experiment}}/pretrain/{{block}}"

    @property
    def chain(self) -> str:
        """Pattern of the folder of a chain."""
        return f"{self.results}/{{experiment}}/{{method}}/T{{T}}/{{block}}"

    @property
    def stage(self) -> str:
        """Pattern of the folder of a stage."""
        return f"{self.chain}/t{{t}}"

    @property
    def ledger(self) -> list[str]:
        """Files of the ledger; none where the study claims nothing."""
        names = ("claims.json", "claims.csv") if self.study.claims else ()
        return [f"{self.results}/{name}" for name in names]

    @property
    def claims_pictures(self) -> list[str]:
        """Files of the ledger's pictures; none where the study claims nothing."""
        names = ("claims", "against_paper") if self.study.claims else ()
        suffixes = "svg", "png", "pdf", "csv"
        return [f"{self.results}/figures/{name}.{suffix}" for name in names for suffix in suffixes]

    @property
    def dated_runs(self) -> list[str]:
        """Run records that say when replicates were first run; none where no claim is stated."""
        return self.chain_files(f"{self.stage}/run.json") if self.study.stated else []

    # ---- What there is ----

    @cached_property
    def part_counts(self) -> list[int]:
        """Every T that is run, in order."""
        cut = (run for name, run in self.chosen.items() if name not in self.streams.streams)
        return sorted({T for described in cut for T in described.parts})

    @property
    def all_blocks(self) -> list[str]:
        """Every name of a block."""
        return list(dict.fromkeys(itertools.chain(*self.blocks.values(), self.tuned_blocks)))

    @property
    def gpus(self) -> int:
        """How many GPUs a job that computes asks for."""
        return int(needs_gpu(self.study))

    @property
    def shown(self) -> Plain:
        """What the report shows of the study, as JSON values."""
        return shown_study(self.study)

    @property
    def drawn(self) -> Plain:
        """What figures depend on, as JSON values."""
        study = replace(self.study, experiments=self.chosen, only=None)
        return {key: value for key, value in plain_study(study).items() if key not in NOT_DRAWN}

    def chain_files(self, pattern: str) -> list[str]:
        """Return the files that `pattern` names, of every chain and every stage of it."""
        return self._files(pattern, self.chosen)

    def _files(self, pattern: str, experiments: Collection[str]) -> list[str]:
        """Return the files that `pattern` names, of every stage of the experiments' chains."""
        return [
            self._of_chain(pattern, name).format(
                experiment=name, method=method, T=T, block=block, t=f"{t:02d}"
            )
            for name, method, T in chosen_chains(self.study)
            if name in experiments
            for block in self.blocks[name]
            for t in range(1, T + 1)
        ]

    def evidence_files(self, name: str) -> list[str]:
        """Return a file of the last stage of every chain, which keeps what is said of each image.

        Not of streams, whose last stage is another one every day.
        """
        return [
            f"{self._of_chain(self.chain, experiment)}/t{T:02d}/{name}".format(
                experiment=experiment, method=method, T=T, block=block
            )
            for experiment, method, T in chosen_chains(self.study)
            if experiment not in self.streams.streams
            for block in self.blocks[experiment]
        ]

    def posterior_files(self) -> list[str]:
        """Return the posteriors of every stage, but those of settled stages that were deleted."""
        return [
            path
            for path in self.chain_files(f"{self.stage}/posterior.safetensors")
            if not self.streams.is_deleted(Path(path))
        ]

    def drift_files(self) -> list[str]:
        """Return what every stage of a stream says of yesterday's model on today's data."""
        return self._files(f"{self.stage}/drift.json", self.streams.streams)

    def _of_chain(self, pattern: str, experiment: str) -> str:
        """Return a pattern of a chain's files; a chain over a stream has no T in its path."""
        stream = experiment in self.streams.streams
        return pattern.replace("T{T}", STREAM) if stream else pattern

    def stage_files(self, name: str, T: int) -> list[str]:
        """Return the patterns of a file of every stage of a chain of T parts."""
        of_chain = f"{self.stage}/{name}".replace("{T}", str(T))
        return [of_chain.replace("{t}", f"{t:02d}") for t in range(1, T + 1)]

    def candidate_files(self, pattern: str) -> list[str]:
        """Return the files that `pattern` names, of the last stage of every candidate's chains."""
        return [
            pattern.format(
                experiment=candidate.derived_experiment,
                method=candidate.derived_method,
                T=T,
                block=block,
                t=f"{T:02d}",
            )
            for candidate in candidates(self.study)
            for T in self.planned.experiments[candidate.derived_experiment].parts
            for block in self.tuned_blocks
        ]

    def image_files(self, name: str) -> dict[str, str]:
        """Return a file of every data set that the study reads, by what is read of it."""
        return image_files(self.study, self.streams, self.given, name)

    # ---- What a job needs ----

    def data_of(self, experiment: str) -> str:
        """Return the name of an experiment's data set."""
        return data_name(self.planned.experiments[experiment].dataset)

    def users_of(self, dataset: str) -> dict[str, Experiment]:
        """Return the experiments that are fitted to a data set, or scored on it, by name."""
        return {
            name: run
            for name, run in self.chosen.items()
            if dataset in data_sets({name: run}) | source_data_sets({name: run})
        }

    def is_search(self, experiment: str) -> bool:
        """Return whether an experiment is one of a search: its parts leave out a validation cut."""
        return self.planned.experiments[experiment].partition.is_of_search

    def source_folder(self, method: str) -> str | None:
        """Return the pattern of the folder with the source task that a method's prior is made of.

        Of an ordinarily trained network, or of the method itself; None where it is of neither.
        """
        kind = self.planned.methods[method].prior.kind
        source = kind_constraints("prior", kind).get("source")
        folders = {"weights": self.pretrain, "posterior": f"{self.pretrain}/{{method}}"}
        return folders[source] if source else None

    def first_count(self, experiment: str) -> int:
        """Return the first T of an experiment, whose parts file has the source task, as each."""
        return self.planned.experiments[experiment].parts[0]

    def fisher_of(self, experiment: str, method: str) -> str | None:
        """Return the kind of Fisher information that a method's prior is made of; None for none."""
        return prior_option(self.settings(experiment, method).prior, "fisher")

    def searches_variance(self, experiment: str, method: str) -> bool:
        """Return whether a method's prior has a variance that is chosen from a grid."""
        return prior_option(self.settings(experiment, method).prior, "variances") is not None

    def continued(self, experiment: str, method: str) -> list[Path]:
        """Return the posterior files that the first prior of a method's chains goes on from.

        Raises:
            StudyError: they are not there.
        """
        prior = self.settings(experiment, method).prior
        return continued_files(prior, ("methods", method, "prior"))

    # ---- Params ----

    def described_block(self, experiment: str, block: str) -> Plain:
        """Return the params that every job of a block has in common."""
        described = self.planned.experiments[experiment]
        return {
            "study": self.study.study_id,
            "budget": self.study.budget,
            "seed": self.study.seed,
            "replicates": list(block_replicates(block)),
            "model": to_plain(described.model),
            "pixels": to_plain(described.pixels),
            "likelihood": to_plain(described.likelihood),
            "partition": to_plain(described.partition),
            "pretrained": described.trains_source,
        }

    def cut_of_block(self, experiment: str, block: str) -> Plain:
        """Return the params that decide the parts of a block, whatever is fitted to them."""
        described = self.described_block(experiment, block)
        return {key: described[key] for key in ("study", "seed", "replicates", "partition")}

    def settings(self, experiment: str, method: str) -> MethodSettings:
        """Return the settings of a method in an experiment; thousands of jobs share a few."""
        return self._settings(experiment, method)

    def settings_of_pretraining(self, experiment: str) -> MethodSettings:
        """Return the settings of the source task's training: a plain network, fresh weights."""
        return MethodSettings(
            family=KindSpec("point"),
            prior=KindSpec("normal"),
            inference=KindSpec("vi"),
            training=pretrain_training(self.planned, experiment),
            objective=replace(self.study.objective, kl_scale=0.0),
            augmentation=self.planned.experiments[experiment].augmentation,
        )

    def settings_of_source_fit(self, experiment: str, method: str) -> MethodSettings:
        """Return the settings of the method itself on the source task, from N(0, sigma²)."""
        settings = self.settings(experiment, method)
        return replace(
            settings,
            prior=KindSpec("normal", {"sigma": settings.prior.options["sigma"]}),
            training=pretrain_training(self.planned, experiment),
        )

    def evaluation(self, experiment: str, method: str) -> Plain:
        """Return how the method's posteriors are evaluated, with the share of the test set.

        The values are those of `evaluation.score.Evaluation`.
        """
        share = scored_share(self.planned, experiment, method)
        settings: Plain = to_plain(evaluation_settings(self.planned, method))
        # A search looks at the last stage alone.
        earlier = {"earlier_samples": 1} if self.is_search(experiment) else {}
        return settings | {"test_images": share} | to_plain(self._changed(experiment)) | earlier

    def _changed(self, experiment: str) -> dict[str, Mapping[str, KindSpec]]:
        """Return the outliers and shifts that are scored, by key; a search has none."""
        if self.is_search(experiment):
            return {key: {} for key in OF_SCORES}
        return changed_images(self.planned.experiments[experiment])

    def outlier_files(self, experiment: str, name: str) -> list[str]:
        """Return a file of each of an experiment's outlier sets that is a data set, in order."""
        found = data_sets_among(self._changed(experiment)["outliers"]).values()
        return [data_file(data_name(spec), name) for spec in found]

    def corrupted_files(self, experiment: str, name: str) -> list[str]:
        """Return a file of each of an experiment's shifts whose images lie in files, in order."""
        if self.is_search(experiment):
            return []
        found = copies_of(self.planned.experiments[experiment]).values()
        return [data_file(each.name, name) for each in found]

    # ---- Code ----

    def code_of(self, script: str, experiment: str, settings: MethodSettings) -> str:
        """Return the digest of a script's code and of the kinds that it uses."""
        described = self.planned.experiments[experiment]
        used = [(registry, getattr(described, key)) for key, registry in OF_A_FIT.items()]
        used += [(registry, getattr(settings, key)) for key, registry in OF_A_METHOD.items()]
        modules = [registry.module(spec.kind) for registry, spec in used]
        if script == "evaluate":
            modules += modules_of_scores(self._changed(experiment))
        return code_digest(f"scripts.{script}", *modules)

    def code_of_claims(self) -> dict[str, str]:
        """Return the digests of the code that claims run, by relation and by metric."""
        return code_of_claims(self.study)

    @property
    def metric_modules(self) -> list[str]:
        """The modules of the metrics of its records."""
        return metric_modules(self.study)

    # ---- Demands ----

    def demand(self, job: Job, attempt: int) -> Demand:
        """Return what a job of a block asks a cluster for, at an attempt, the first being 1."""
        if job.work == "fisher" and self.given.data(job.experiment):
            job = dataclasses.replace(job, outputs=self.given.outputs(job.experiment))
        return self._demand(job, attempt)
