"""The digest of code: what counts as a change, and for whom."""

import pytest

from incbayes.kinds import ALGORITHMS
from incbayes.orchestration import code_digest as module
from incbayes.orchestration.code_digest import CodeError, code_digest

FAMILY, BASE, ADAPTER = "incbayes.families.toy", "incbayes.base", "incbayes.jobs.toy"


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library in place of the real one."""
    files = {
        "base.py": '"""Base."""\nX = 1\n',
        "families/__init__.py": 'NAMES = {"toy": "incbayes.families.toy:Toy"}\n',
        "families/toy.py": '"""Toy."""\nfrom incbayes.base import X\n\ndef f():\n    "doc"\n',
        "jobs/toy.py": "from incbayes import base, families\nfrom incbayes.kinds import NAMES\n",
        "other.py": "Y = 1\n",
        "kinds.py": 'NAMES = {"toy": "incbayes.families.toy:Toy"}\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(module, "ROOT", tmp_path)

    def edit(name, old, new):
        text = (tmp_path / name).read_text()
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
        for cached in (module.code_digest, module._read):
            cached.cache_clear()

    edit("base.py", "X", "X")
    yield edit
    for cached in (module.code_digest, module._read):
        cached.cache_clear()


def test_a_change_counts_for_those_that_import_it(library):
    before = code_digest(FAMILY), code_digest(ADAPTER), code_digest("incbayes.other")
    library("base.py", "X = 1", "X = 2")
    after = code_digest(FAMILY), code_digest(ADAPTER), code_digest("incbayes.other")
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, False, True]


def test_comments_docstrings_and_registry_lines_do_not_count(library):
    before = code_digest(FAMILY, ADAPTER)
    library("families/toy.py", '"doc"', '"other words"')
    library("base.py", '"""Base."""', '"""Other words."""\n# a comment')
    library("families/__init__.py", "{", '{"new": "incbayes.families.new:New", ')
    library("kinds.py", "{", '{"new": "incbayes.families.new:New", ')
    assert code_digest(FAMILY, ADAPTER) == before


DEPTHS = {
    "if": "if X:\n    {}\n",
    "else": "if X:\n    pass\nelse:\n    {}\n",
    "try": "try:\n    {}\nfinally:\n    pass\n",
    "except": "try:\n    pass\nexcept ImportError:\n    {}\n",
    "finally": "try:\n    pass\nfinally:\n    {}\n",
    "except*": "try:\n    pass\nexcept* ImportError:\n    {}\n",
    "for … else": "for x in X:\n    pass\nelse:\n    {}\n",
    "while": "while X:\n    {}\n",
    "with": "with X:\n    {}\n",
    "case": "match X:\n    case 1:\n        {}\n",
    "method": "class A:\n    async def f(self):\n        def g():\n            {}\n",
}


@pytest.mark.parametrize("form", DEPTHS.values(), ids=DEPTHS)
def test_imports_count_and_docstrings_do_not_wherever_they_stand(form, library, tmp_path):
    path = tmp_path / "other.py"
    path.write_text(form.format("from incbayes.base import X"))
    before = code_digest("incbayes.other")
    library("base.py", "X = 1", "X = 2")
    assert code_digest("incbayes.other") != before
    digests = set()
    for words in ("one", "two"):
        path.write_text(form.format(f'def f(): "{words}"'))
        library("base.py", "X", "X")  # which forgets what was read
        digests.add(code_digest("incbayes.other"))
    assert len(digests) == 1


def test_an_unknown_module_is_named():
    with pytest.raises(CodeError, match=r"incbayes\.absent: no such module in"):
        code_digest("incbayes.absent")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"def f(:\n    pass\n", r"line 1: .*: def f\(:$"),
        (b"x = '\xe9'\n", r"line 1: .*utf-8"),
        (b"X = 1\n  Y = 2\n", "line 2: unexpected indent: Y = 2"),
        (b"X = 1\0\n", "null bytes"),
    ],
)
def test_a_module_that_is_not_python_is_named_with_its_line(content, expected, library, tmp_path):
    (tmp_path / "base.py").write_bytes(content)
    with pytest.raises(CodeError, match=expected) as caught:
        code_digest(FAMILY)
    assert str(caught.value).startswith(str(tmp_path / "base.py"))
    assert len(str(caught.value).splitlines()) == 1


def test_the_job_that_fits_does_not_depend_on_the_report():
    fits = module._closure(("incbayes.jobs.fit", ALGORITHMS.module("vi")))
    for reached in ("incbayes.report.html", "incbayes.figures.style", "incbayes.results.collect"):
        assert reached not in fits
    assert "incbayes.inference.adam" in fits


def test_of_an_algorithm_only_what_it_runs_counts():
    generic = module._closure(("incbayes.jobs.fit",))
    assert "incbayes.inference.checkpoint" in generic
    assert not generic & {"incbayes.inference.vi", "incbayes.inference.vi_run", "incbayes.kinds"}
