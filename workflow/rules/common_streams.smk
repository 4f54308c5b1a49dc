"""What the rules of streams ask for, by wildcards; beside `common.smk`."""

STREAM_STAGE = STAGE.replace("T{T}", STREAM)
STREAM_DATA, STREAM_TEST = f"{DATA}/parts/{{part}}", f"{DATA}/test"


def of_part(name, scored=False):
    """Return an input function of a file of a stage's part; nothing for a settled stage.

    Scoring has it of a settled stage, too, for as long as all that it takes is there.
    """

    def path(wildcards):
        experiment, t = wildcards.experiment, int(wildcards.t)
        arrived = STREAM_PLAN.part(experiment, t) is not None
        stage = Path(placed(named(STREAM_STAGE, wildcards)))
        again = scored and arrived and STREAM_PLAN.is_scored_again(experiment, stage, t)
        if is_settled(wildcards) and not again:
            return STREAM_PLAN.nothing
        return f"{STREAM_PLAN.part_folder(experiment, t)}/{name}"

    return path


def is_settled(wildcards):
    """Return whether a stage stays as it is, or is of a part that is yet to come."""
    names, t = (wildcards.experiment, wildcards.method, wildcards.block), int(wildcards.t)
    to_come = STREAM_PLAN.part(wildcards.experiment, t) is None
    return to_come or t <= STREAM_PLAN.last_settled(*names)


def of_test(name):
    """Return an input function of a file of the stream's test images; nothing without them."""

    def path(wildcards):
        folder = STREAM_PLAN.test_folder(wildcards.experiment)
        return f"{folder}/{name}" if folder else []

    return path


def before(name):
    """Return an input function of a file of stage t-1; nothing for stage 1."""

    def path(wildcards):
        earlier = STREAM_STAGE.replace("{t}", f"{int(wildcards.t) - 1:02d}")
        return named(f"{earlier}/{name}", wildcards) if int(wildcards.t) > 1 else []

    return path


def names_of_parts(wildcards):
    """Return the names of a stage's part and of the one before it, and what is stated of both."""
    t = int(wildcards.t)
    return {
        "part": STREAM_PLAN.part(wildcards.experiment, t),
        "before": STREAM_PLAN.part(wildcards.experiment, t - 1),
        "dataset": stated_data(STREAM_PLAN.streams[wildcards.experiment].experiment.dataset),
    }


def stream_dataset(stream):
    """Return what a study says of a stream, but for what its prepared files do not depend on."""
    dataset = to_plain(STREAM_PLAN.by_data[stream].experiment.dataset)
    return {key: value for key, value in dataset.items() if key not in (TAKEN_BACK, DUPLICATES)}


def state_of_part(wildcards):
    """Return the state of the files of a part."""
    source = STREAM_PLAN.part_source(wildcards.stream, wildcards.part)
    folder = STREAM_DATA.format(dataset=wildcards.stream, part=wildcards.part)
    return {"source": source_state([source], folder)}


def state_of_test(wildcards):
    """Return the same of the test images."""
    source = STREAM_PLAN.test_source(wildcards.stream)
    folder = STREAM_TEST.format(dataset=wildcards.stream)
    return {"source": source_state([source], folder)}


def code_of_stream(stream):
    """Return the digest of the code that prepares a part."""
    kind = STREAM_PLAN.by_data[stream].experiment.dataset.kind
    return code_digest("scripts.prepare_part", DATASETS.module(kind))


def first_data(name):
    """Return an input function of a file of what the first stage is of: a data set, or part 1."""

    def path(wildcards):
        if wildcards.experiment in STREAM_PLAN.streams:
            return f"{STREAM_PLAN.part_folder(wildcards.experiment, 1)}/{name}"
        return data_file(name)(wildcards)

    return path


def first_part(wildcards):
    """Return the name of the first part of a stream; None of a data set that is cut."""
    is_stream = wildcards.experiment in STREAM_PLAN.streams
    return STREAM_PLAN.part(wildcards.experiment, 1) if is_stream else None
