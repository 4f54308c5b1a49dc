"""What is published is what the code of this checkout shows of its records, byte for byte."""

import shlex
import shutil

from documented import commands
from running import ROOT, copied_checkout, typed

from incbayes.core.files import sha256_file

PUBLISHED = ROOT / "results" / "published" / "kochurov2018"


def test_the_command_of_the_page_shows_anew_what_is_published_and_changes_nothing(tmp_path):
    folder = copied_checkout(tmp_path / "checkout")
    shutil.copytree(ROOT / "studies", folder / "studies")
    copy = folder / PUBLISHED.relative_to(ROOT)
    shutil.copytree(PUBLISHED, copy)
    page = commands(ROOT / "docs" / "papers.md")
    (command,) = [found for found in page if "republish" in found.words]
    words = shlex.join(command.words[1:]).replace("=DIR", "=raw").replace("all", "1")
    done = typed(folder, *shlex.split(words))
    assert done.returncode == 0, done.stdout
    before, after = (
        {str(path.relative_to(top)): sha256_file(path) for path in top.rglob("*") if path.is_file()}
        for top in (PUBLISHED, copy)
    )
    assert {name for name in before.keys() | after if before.get(name) != after.get(name)} == set()
