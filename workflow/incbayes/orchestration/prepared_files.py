"""Where the prepared data sets of a study lie. No Snakemake."""

from incbayes.orchestration.given import GivenWeights
from incbayes.orchestration.stream_plan import StreamPlan
from incbayes.study.chains import chosen_chains, chosen_experiments
from incbayes.study.corrupted import copies_of
from incbayes.study.datasets import data_name
from incbayes.study.model import Study
from incbayes.study.outliers import data_sets_among

DATA = "results/data/{dataset}"
"""Pattern of the folder of a prepared data set."""


def data_file(dataset: str, name: str) -> str:
    """Return the path of a file of a prepared data set."""
    return f"{DATA}/{name}".format(dataset=dataset)


def image_files(
    study: Study, streams: StreamPlan, given: GivenWeights, name: str
) -> dict[str, str]:
    """Return a file of every data set that a study reads, by what is read of it.

    That is an experiment's own, of a stream each part's; the data that priors of given weights are
    made from; outliers that are a data set; and corrupted copies of test images.

    Args:
        study: in its resolved form.
        streams: what is to be done for its experiments over streams.
        given: weights of files that its priors are made from.
        name: of the file.
    """
    chosen = chosen_experiments(study)
    cut = [of for of in chosen if of not in streams.streams]
    whole = {of: data_file(data_name(chosen[of].dataset), name) for of in cut}
    parts = {part: f"{at}/{name}" for part, at in streams.part_folders(chosen).items()}
    of_weights = {
        f"{experiment}, data of given weights": data_file(dataset, name)
        for experiment, method, _ in chosen_chains(study)
        if streams.begins(experiment, method) and (dataset := given.data_of(experiment, method))
    }
    outliers = {
        f"{of}, outliers {which}": data_file(data_name(dataset), name)
        for of in cut
        for which, dataset in data_sets_among(chosen[of].outlier_sets).items()
    }
    copies = {
        f"{of}, shifts {which}": data_file(found.name, name)
        for of in cut
        for which, found in copies_of(chosen[of]).items()
    }
    return whole | parts | of_weights | outliers | copies
