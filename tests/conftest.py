"""Settings that hold for every test: one thread, repeatable draws, and the longest files first."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = ("test_slurm", "test_workflow", "test_workflow_faults", "test_tuning_workflow")


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no worker is left with it while the others wait."""

    def place(item):
        name = item.path.stem
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)
