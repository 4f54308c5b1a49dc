"""Labels of a task from the class numbers of a data set."""

from collections.abc import Sequence

import torch

from incbayes.data.raw import DataError


def task_labels(labels: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
    """Return the position of each label in `classes`, int64 [N] on the device of `labels`.

    Args:
        labels: int64 [N], class numbers of the data set, from 0.
        classes: the K class numbers of the task; position i is label i of the task.

    Raises:
        DataError: a label is none of the classes.
    """
    numbers = torch.as_tensor(list(classes), dtype=torch.int64, device=labels.device)
    matches = labels[:, None] == numbers  # [N, K]
    known = matches.any(dim=1)
    if not bool(known.all()):
        foreign = labels[~known].unique().tolist()
        raise DataError(f"labels {foreign} are not classes of the task, {list(classes)}")
    return matches.int().argmax(dim=1)
