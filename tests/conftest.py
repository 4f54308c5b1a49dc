"""What holds for every test: one thread, the longest files first; and the browser of some."""

import os
import shutil

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = (
    "test_slurm",
    "test_workflow",
    "test_stream",
    "test_stream_changes",
    "test_source_changes",
    "test_documented",
    "test_publication",
    "test_freshness",
    "test_workflow_faults",
    "test_tuning_workflow",
    "test_your_data",
    "test_table_workflow",
    "test_damage",
)


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no worker is left with it while the others wait."""

    def place(item):
        name = item.path.stem
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="module")
def browser():
    """Return headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on the path: the report is not opened in a browser")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()
