"""The YAML of a study: how values are read, and which files are refused."""

import re

import pytest
import yaml

from incbayes.study.yaml import StudyError, read_yaml, stated, typed


def read(folder, content):
    """Write bytes or text to a file and read it as a study."""
    path = folder / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


DEEP_ALIASES = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))

BAD_FILES = [
    ("", "line 1: empty"),
    ("# only a comment\n", "line 1: empty"),
    ("- a\n- b\n", "line 1: found ['a', 'b']; a study is a mapping"),
    ("text", "line 1: found 'text'; a study is a mapping"),
    ("&a [*a]", "line 1: the alias *a lies inside of what it stands for"),
    ("a: &a\n  b: {c: *a}\n", "line 2: the alias *a lies inside of what it stands for"),
    (DEEP_ALIASES, "line 16: nested too deeply; a study has at most 16 levels"),
    ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is given twice, first in line 1"),
    ("m:\n  a: 1\n  a: 2\n", "line 3: the key 'a' is given twice, first in line 2"),
    ("a:\n\tb: 1\n", "line 2: a tab; YAML wants blanks"),
    ("a: 1\nb: [1, 2\nc: 3\n", "line 3: while parsing a flow sequence, expected"),
    ("a: b: c", "line 1: mapping values are not allowed here"),
    ("a: 'open", "line 1: while scanning a quoted scalar"),
    ("a: 1\nb: *nowhere", "line 2: found undefined alias"),
    ("a: 1\n---\nb: 2\n", "line 2: expected a single document"),
    ("a: 1\nb: !!python/name:os.system\n", "line 2: the type 'tag:yaml.org,2002:python/name:os"),
    ("a: 1\n? [b]\n: 2\n", "line 2: a key must be text"),
    (f"a: {'9' * 5000}", "line 1: '999"),
    ("[" * 5000, "line 1: nested too deeply"),
    (b"a: 1\nb: \xe9\n", "line 2: the byte 0xe9 is not UTF-8"),
    (b"a: 1\nb: \x01\n", "line 2: the character #x0001 is not allowed in YAML"),
]


@pytest.mark.parametrize(
    ("content", "expected"), BAD_FILES, ids=[str(i) for i in range(len(BAD_FILES))]
)
def test_bad_file_is_refused_in_one_line(tmp_path, content, expected):
    with pytest.raises(StudyError) as caught:
        read(tmp_path, content)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert f"{tmp_path / 'study.yaml'}, {expected}" in text


def test_as_many_levels_as_a_study_may_have_can_be_read(tmp_path):
    allowed, one_more = (f"a: {'[' * (levels - 1)}x{']' * (levels - 1)}" for levels in (16, 17))
    assert read(tmp_path, allowed)["a"]
    with pytest.raises(
        StudyError, match="line 1: nested too deeply; a study has at most 16 levels"
    ):
        read(tmp_path, one_more)


def test_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(StudyError, match=f"^{re.escape(str(path))}: cannot be read"):
            read_yaml(path)


def test_scalars_follow_yaml_1_2(tmp_path):
    text = "a: [1e-3, 1., .5, -2, +3, 0x1F, 0o17, 010, no, on, yes, 1_0, 1:30, 2018-02-01, ~, true]"
    assert read(tmp_path, text)["a"] == [
        *(0.001, 1.0, 0.5, -2, 3, 31, 15, 10),
        *("no", "on", "yes", "1_0", "1:30", "2018-02-01", None, True),
    ]
    assert read(tmp_path, "no: 1\n5: 2\n") == {"no": 1, 5: 2}


def test_anchors_and_merge_keys_work(tmp_path):
    text = "\ufeffa: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n"
    assert read(tmp_path, text)["b"] == {"x": 1, "y": 3}


def test_values_of_the_command_line_are_read_as_those_of_a_file(tmp_path):
    flow = "{a: 3, b: 1e-3, c: [true, -2, 0x10], d: {e: null, f: }, g: no, h: r0-1, i: 1.2.3}"
    given = yaml.load(flow, Loader=yaml.BaseLoader)  # as Snakemake reads it
    assert given["a"] == "3"
    assert typed({"key": given, "seed": 5}) == {"key": read(tmp_path, flow), "seed": 5}


def test_what_a_module_is_given_is_read_as_from_a_file_of_a_study():
    text = "a: [1e-3, 0o17, '0', 'true', yes]\nb: {c: '2', d: '3', e: null, f: no way}\n"
    given, command_line = yaml.safe_load(text), {"study": {"b": {"d": "3"}}}
    assert given["a"][:2] == ["1e-3", "0o17"], "YAML 1.1 does not know these as numbers"
    read = stated(given, command_line)
    assert read["a"] == [1e-3, 15, "0", "true", True]
    assert read["b"] == {"c": "2", "d": 3, "e": None, "f": "no way"}
    assert given == yaml.safe_load(text)
