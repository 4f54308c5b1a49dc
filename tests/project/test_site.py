"""The documentation builds as a site, with every warning an error; no link of it leads nowhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from running import ROOT, environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("mkdocs") is None, reason="the extra `docs` is not installed"),
]
ROOMS = sorted(path.parent.name for path in ROOT.glob("workflow/incbayes/*/__init__.py"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        build,
        cwd=ROOT,
        env=environment() | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


class References(HTMLParser):
    """Gathers what a page links to or shows."""

    def __init__(self):
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.found |= {value for name, value in attrs if name in ("href", "src") and value}


def references(page: Path) -> set[str]:
    reader = References()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.found


def test_every_page_of_docs_and_every_room_of_the_library_is_in_it(site):
    for page in ROOT.glob("docs/*.md"):
        assert (site / (page.stem if page.stem != "index" else "") / "index.html").is_file()
    for room in ROOMS:
        assert (site / "api" / room / "index.html").is_file()
    text = (site / "api/posterior/index.html").read_text(encoding="utf-8")
    assert "read_posterior" in text and "Raises" in text


def test_no_link_or_picture_leads_nowhere(site):
    lost = []
    for page in [*site.glob("*/index.html"), site / "index.html"]:
        for reference in references(page):
            parts = urlsplit(reference)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            target = (page.parent / unquote(parts.path)).resolve()
            if not (target.is_file() or (target / "index.html").is_file()):
                lost.append(f"{page.relative_to(site)}: {reference}")
    assert lost == []


def test_nothing_is_taken_from_another_host_to_show_a_page(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    taken = re.findall(r'<(?:script|img)[^>]+src="(https?:[^"]+)"', page)
    taken += re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(https?:[^"]+)"', page)
    assert taken == []
