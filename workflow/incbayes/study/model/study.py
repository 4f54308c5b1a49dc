"""The whole study in its normal form: every default in place, one budget chosen."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, field

from incbayes.study.merging import Plain
from incbayes.study.model.base import (
    DERIVED,
    UNIQUE,
    ChainName,
    Name,
    Replicates,
    Section,
    Seed,
    Text,
    read,
    stated,
    to_plain,
)
from incbayes.study.model.claims import Claim
from incbayes.study.model.experiments import Experiment
from incbayes.study.model.fitting import ObjectiveSettings, TrainingSettings
from incbayes.study.model.machine import MachineSettings
from incbayes.study.model.methods import Method
from incbayes.study.model.scoring import EvaluationSettings
from incbayes.study.model.search import Outcome, Search
from incbayes.study.model.statement import Statement

Budget = Annotated[
    Mapping[str, Any],
    Meta(description="Any keys of a study except `study`, `budget` and `budgets`."),
]

NOT_SHOWN = ("machine", "data_root", "partial", "other_code")
"""Keys of a study that its report does not show: where jobs ran it learns from the run records."""


class Study(Section, frozen=True, kw_only=True):
    """One config file of incbayes, i.e. experiments, methods and seeds.

    Attributes:
        study: Name of the study and of its folder under `results/`.
        title: Heading of the report.
        seed: Every random stream is derived from this number and the names of what it is for.
            Another seed repeats the whole study on other partitions, initialisations and noise.
        data_root: Folder of the raw data sets, absolute or relative to where Snakemake runs; what
            is absent is downloaded into it. A leading `~` is your home, `$NAME` a variable of the
            environment, and `$$` a dollar sign. Usually given by `--config data_root=PATH`.
        replicates: How often an experiment is repeated that states no `replicates` of its own. A
            replicate fixes partition, initialisation, order and noise, so that methods are compared
            on the same data.
        first_replicate: Number of the first replicate. Beginning with another than 0, a run adds
            replicates to those that were published before. Usually given by
            `--config first_replicate=5`.
        replicates_per_block: How many replicates one job carries, which spares the start of a
            process. Blocks are the unit of reuse: raising `replicates` from a multiple of this
            number adds jobs and repeats none.
        budget: Which of `budgets` to use, usually given by `--config budget=NAME`; `full` is the
            study as written, or as other keys given by `--config` change it: results with fewer
            epochs given there are not marked as reduced, only the command beside them says so.
        training: How a stage is fitted. Experiments and methods may override single keys.
        objective: What a stage maximises. Experiments and methods may override single keys.
        evaluation: How the posterior of every stage is evaluated.
        machine: Where and how jobs run; no part of what a result is, so that a change repeats
            nothing.
        experiments: The experiments by name.
        only: What to run, null runs all: `EXPERIMENT`, a single method of it, `EXPERIMENT.METHOD`,
            or that in ten parts alone, `EXPERIMENT.METHOD.T10`. The report shows these alone, and
            claims on the others are not run; `snakemake publish` shows them beside what was
            published before.
        partial: Report on the chains that are done and list the others, with the error that each
            ended in; fits and scores nothing. For the command line: `--config partial=true`.
        other_code: Publish replicates beside earlier ones of the same chain that other code fitted
            or scored; the page names both. For the command line: `--config other_code=true`.
        methods: The methods by name.
        budgets: Overrides by the name of the budget. They are merged into the study when the budget
            is chosen: mappings key by key, everything else replaced. A budget's value also wins
            over one given by `--config`, but for `only`, where what both name is run. Results of a
            budget with overrides lie under `results/{study}-{budget}` and are marked as reduced
            wherever they are shown.
        tune: A search for settings on validation data, which `snakemake tune` runs: every
            candidate's chains are fitted to the training images less a validation cut and scored on
            that cut; test images are no input of any of its jobs. It writes
            `tuning/candidates.csv` and `tuning/chosen.yaml` under the study's results; the latter
            is a further `--configfile`. Null: no search.
        tuned: A search that was run and what came of it, as `snakemake tune` writes it beside the
            chosen settings; the report shows it. Not to be written by hand. Null: none.
        claims: Sentences of a paper, by a name of each, as tests on the metrics. Each gets a
            verdict, which the report opens with. The groups are compared pairwise over replicates;
            verdicts are corrected for the number of primary claims.
        stated: When each claim was stated, as `snakemake state_claims` writes it to `stated.yaml`
            under the study's results, a further `--configfile` to keep beside the study. Not to be
            written by hand.
        study_id: Folder of its results: the name, with that of a budget that overrides keys.
        reduced: Whether the budget overrides keys.
    """

    study: Name
    title: Annotated[Text, stated(x_default="the name of the study")]
    seed: Seed = 0
    data_root: Text = "data"
    replicates: Replicates = 5
    first_replicate: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    replicates_per_block: Replicates = 5
    budget: str = "full"
    training: TrainingSettings = field(default_factory=TrainingSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)
    experiments: Annotated[Mapping[Name, Experiment], Meta(min_length=1)]
    only: Annotated[tuple[ChainName, ...], Meta(min_length=1), UNIQUE] | None = None
    partial: bool = False
    other_code: bool = False
    methods: Annotated[Mapping[Name, Method], Meta(min_length=1)]
    budgets: Mapping[Name, Budget] = field(default_factory=dict)
    tune: Search | None = None
    tuned: Outcome | None = None
    claims: Mapping[Name, Claim] = field(default_factory=dict)
    stated: Mapping[Name, Statement] = field(default_factory=dict)
    study_id: Annotated[str, DERIVED]
    reduced: Annotated[bool, DERIVED]


def study_of(plain: Mapping[str, Any]) -> Study:
    """Return the study that its normal form stands for, as `plain_study` gives it.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return read(Study, dict(plain))


def plain_study(study: Study) -> Plain:
    """Return a study as JSON values in dicts and lists, its normal form.

    An experiment that is repeated as often as the study has its number last: it mostly states
    none, and the files of published studies keep their bytes.
    """
    plain: Plain = to_plain(study)
    for described in plain["experiments"].values():
        if described["replicates"] == study.replicates:
            described["replicates"] = described.pop("replicates")
    return plain


def shown_study(study: Study) -> Plain:
    """Return what the report shows of a study, and what is published of it, as JSON values."""
    return {key: value for key, value in plain_study(study).items() if key not in NOT_SHOWN}
