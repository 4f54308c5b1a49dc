"""Several config files and a command line: merged by one rule, and read before Snakemake does."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fault_table import survived
from running import TINY, environment, options_of, planned, run, typed
from small_study import PLAIN, SMALL, changed
from snakemake.cli import parse_config

from incbayes.orchestration.config_files import refuse_unreadable
from incbayes.posterior.file import read_posterior
from incbayes.study.model import plain_study
from incbayes.study.resolve import resolve_study
from incbayes.study.sources import command_line, load_study, written_study
from incbayes.study.yaml import LARGEST_FILE, MOST_VALUES, StudyError

ROOT = Path(__file__).parents[2]


def files_of(folder, *contents):
    """Write each content, text or a study, to a file of its own and return their paths."""
    files = [folder / f"{place}.yaml" for place in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        file.write_text(text, encoding="utf-8")
    return files


def family(value):
    return {"methods": {"ffg": {"family": value}}}


LONG = {"kind": "ffg", "initial_sigma": 0.7, "estimator": "weight"}
OTHER = {"kind": "cfg"}

FAMILIES = [
    ([LONG, OTHER], OTHER),
    ([LONG, "cfg"], "cfg"),
    ([LONG, "ffg"], "ffg"),
    ([LONG, {"kind": "ffg", "estimator": "local"}], LONG | {"estimator": "local"}),
    ([LONG, {"estimator": "local"}], LONG | {"estimator": "local"}),
    (["ffg", OTHER], OTHER),
    (["ffg", {"estimator": "local"}], {"kind": "ffg", "estimator": "local"}),
    ([LONG, OTHER, {"estimator": "local"}], OTHER | {"estimator": "local"}),
    ([LONG, OTHER, LONG], LONG),
]


@pytest.mark.parametrize("last", ["file", "command line"])
@pytest.mark.parametrize(("given", "expected"), FAMILIES, ids=map(str, range(len(FAMILIES))))
def test_a_kind_of_another_name_takes_no_option_of_the_first(given, expected, last, tmp_path):
    *first, final = map(family, given)
    if last == "file":
        study = written_study(files_of(tmp_path, SMALL, *first, final), {})
    else:
        methods = yaml.safe_dump(final["methods"], default_flow_style=True, width=1000)
        settings = parse_config([f"methods={methods.strip()}"])
        study = written_study(files_of(tmp_path, SMALL, *first), settings)
    assert study["methods"]["ffg"]["family"] == expected
    assert study["methods"]["ft"] == SMALL["methods"]["ft"]
    whole = changed(("methods.ffg.family", expected))
    assert resolve_study(study) == resolve_study(whole)


def test_options_may_come_before_their_kind(tmp_path):
    files = files_of(
        tmp_path, family({"estimator": "weight"}), changed(("methods.ffg.family", OTHER))
    )
    assert written_study(files, {})["methods"]["ffg"]["family"] == OTHER | {"estimator": "weight"}


def test_files_and_command_line_merge_as_a_budget_does(tmp_path):
    over = {
        "only": ["halves"],
        "replicates": 3,
        "training": {"epochs": 9},
        "experiments": {"plain": {"parts": [2], "model": {"widths": [8]}, "pixels": "divide"}},
        "methods": {"ffg_grid": {"prior": {"kind": "laplace", "fisher": "mc"}}},
        "claims": {},
    }
    base = changed(("only", ["plain", "halves"]), ("training", {"epochs": 1, "batch_size": 2}))
    by_budget = resolve_study(
        base | {"budgets": SMALL["budgets"] | {"over": over}, "budget": "over"}
    )
    by_file = load_study(files_of(tmp_path, base, over), {})
    by_command_line = load_study(files_of(tmp_path, base), over)
    assert by_file == by_command_line
    own = ("study_id", "budget", "budgets", "reduced")
    keys = [key for key in plain_study(by_file) if key not in own]
    assert all(getattr(by_file, key) == getattr(by_budget, key) for key in keys)
    assert (by_file.only, by_file.training.batch_size) == (("halves",), 2)


def test_budgets_of_several_files_add_up_and_the_command_line_chooses(tmp_path):
    more = {"budgets": {"quick": {"training": {"batch_size": 7}}, "long": {"replicates": 9}}}
    files = files_of(tmp_path, SMALL, more)
    quick, long = (load_study(files, {"budget": name}) for name in ("quick", "long"))
    assert (quick.training.epochs, quick.training.batch_size) == (2, 7)
    assert (quick.study_id, long.replicates) == ("small-quick", 9)


def test_a_null_replaces_what_was_there_and_says_so_where_it_is_not_allowed(tmp_path):
    files = files_of(tmp_path, SMALL, f"{PLAIN}:\n".replace(".", ":\n  ") + "    methods:\n")
    with pytest.raises(StudyError, match=rf"^{PLAIN}\.methods: found null; allowed: a list"):
        load_study(files, {})
    assert load_study(files_of(tmp_path, SMALL | {"only": ["plain"]}, "only:\n"), {}).only is None


def test_an_entry_that_is_called_kind_is_merged_as_all_others(tmp_path):
    base = changed(("methods.kind", {"family": "mnf"}))
    study = written_study(files_of(tmp_path, base, {"methods": {"kind": {"label": "A label"}}}), {})
    assert study["methods"] == base["methods"] | {"kind": {"family": "mnf", "label": "A label"}}


@pytest.mark.slow
def test_the_later_kind_alone_reaches_the_jobs(tmp_path):
    study, whole = copy.deepcopy(TINY), copy.deepcopy(TINY)
    study["methods"]["ffg"]["family"] = LONG
    whole["methods"]["ffg"]["family"] = "cfg"
    (second,) = files_of(tmp_path, family(OTHER))
    options = options_of(tmp_path, study)
    options.insert(options.index("--cores"), str(second))
    posterior = "results/tiny/digits/ffg/T1/r0-1/t01/posterior.safetensors"
    done = typed(tmp_path, *options, "--", posterior)
    assert done.returncode == 0, done.stdout
    assert read_posterior(tmp_path / posterior).metadata["family"] == "cfg"
    # A setting that came of the first file would be another one than the whole study has.
    assert planned(tmp_path, whole, "--", posterior) == set()
    assert planned(tmp_path, study, "--", posterior) != set()


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--config", ["budget=quick"]),
        ("-C", ["seed=1"]),
        ("--configfile", [str(ROOT / "config.yaml")]),
    ],
)
def test_an_option_of_settings_is_given_once(tmp_path, option, values):
    done = run(tmp_path, TINY, "--config", "seed=2", option, *values, "--dry-run")
    assert done.returncode == 1, "Snakemake would take the last alone"
    kind = option.replace("-C", "--config")
    assert f"{kind} is given 2 times, and Snakemake would take the last alone" in done.stdout


def test_make_prints_the_report_of_the_study_that_snakemake_makes(tmp_path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (code,) = re.findall(r"define REPORT_PATH\n(.*?)\nendef", makefile, flags=re.DOTALL)
    assert '"$$REPORT_PATH" $(or $(STUDY),config.yaml) --config $(CONFIG)' in makefile
    files = files_of(tmp_path, SMALL, {"study": "second"})
    chosen = ["budget=quick", "study=third"]
    command = [sys.executable, "-c", code, *map(str, files), "--config", *chosen]
    variables = environment() | {"PYTHONPATH": str(ROOT / "workflow")}
    report = tmp_path / "results" / "third-quick" / "report.html"
    for there, line in [(False, ""), (True, "Report: results/third-quick/report.html\n")]:
        if there:
            report.parent.mkdir(parents=True)
            report.touch()
        said = subprocess.check_output(command, cwd=tmp_path, env=variables, text=True)
        assert said == line


def aliases(width, number):
    """Return a mapping of lists, each of `width` aliases of the one before it."""
    first = f"a0: &a0 [{', '.join(['x'] * width)}]\n"
    lists = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]\n" for n in range(1, number)]
    return first + "".join(lists)


UNREADABLE = {
    "a bomb of aliases": (aliases(10, 12), "line 5: more than 50000 values"),
    "an anchor in itself": ("a: 1\nb: &b [1, *b]\n", "line 2: the alias *b lies inside of what it"),
    "3,000 lists in lists": (f"a: {'[' * 3000}{']' * 3000}\n", "line 1: nested too deeply"),
    "UTF-16": ("study: ü\n".encode("utf-16"), "line 1: the byte 0xff is not UTF-8; save the file"),
    "UTF-16 without a mark": ("study: a\n".encode("utf-16-le"), "line 1: the character #x0000"),
    "latin-1": ("a: 1\ntitle: ü\n".encode("latin-1"), "line 2: the byte 0xfc is not UTF-8; save"),
    "an open bracket": ("a: 1\nb: [1, 2\nc: 3\n", "line 3: while parsing a flow sequence"),
    "a tab": ("a:\n\tb: 1\n", "line 2: a tab; YAML wants blanks"),
    "a date that is none": ("study: a\ntitle: 2018-02-31\n", "Snakemake, which reads it by YAML 1"),
    "a program": ("__use_yte__: true\nstudy: ?open('made', 'w').name\n", "found the key __use_yte"),
    "nothing": (None, "cannot be read (No such file or directory)"),
}
"""Files that Snakemake does not read, or not well, and what is said of each."""


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_snakemake_reads_badly_is_refused_in_one_line(name, tmp_path, capsys):
    content, expected = UNREADABLE[name]
    file = tmp_path / "study.yaml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as caught:
        refuse_unreadable([ROOT / "config.yaml", file])
    text = caught.value.code
    assert text.startswith(str(file)) and expected in text and text.isprintable()


@pytest.mark.slow
def test_the_line_of_a_file_comes_before_snakemake_reads_it(tmp_path):
    for content, expected in UNREADABLE.values():
        file = tmp_path / "bad.yaml"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        done = run(
            tmp_path, TINY, "--dry-run", "--configfile", str(tmp_path / "tiny.yaml"), str(file)
        )
        *before, line = done.stdout.strip().splitlines()
        assert done.returncode == 1, done.stdout
        assert line.startswith(str(file)) and expected in line
        assert before == [before[0]] and before[0].startswith("Using workflow specific profile")
    assert not (tmp_path / "made").exists()
    survived(
        "a file of `--configfile` in UTF-16 or latin-1, with a bomb of aliases, absent …",
        len(UNREADABLE),
        "one line with file and line, before Snakemake reads it",
    )


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/stdin", "/"])
def test_what_is_no_file_is_not_waited_for(file):
    with pytest.raises(SystemExit, match=re.escape(f"{file}: cannot be read (it is no file)")):
        refuse_unreadable([file])


def test_a_file_of_unusual_size_is_not_read_to_its_end(tmp_path):
    (file,) = files_of(tmp_path, "a: 1\n" + "# more\n" * LARGEST_FILE)
    with pytest.raises(SystemExit, match=f"more than {LARGEST_FILE} bytes; a study is smaller"):
        refuse_unreadable([file])
    (file,) = files_of(tmp_path, f"a: [{'1,' * MOST_VALUES}]")
    with pytest.raises(SystemExit, match=f"line 1: more than {MOST_VALUES} values"):
        refuse_unreadable([file])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ["title=[&a [x, x, x, x, x, x, x, x, x, x]" + ", *a" * 9999 + "]"],
            "title: more than 50000 values",
        ),
        (["title=" + "[" * 20 + "]" * 20], "title[0]: nested too deeply; a study has at most 16"),
    ],
)
def test_a_command_line_that_stands_for_too_much_is_refused(given, expected):
    with pytest.raises(StudyError, match=re.escape(expected)):
        command_line(parse_config(given))


def test_a_number_of_too_many_digits_on_a_command_line_stays_text():
    digits = "9" * 5000
    settings = command_line(parse_config([f"training={{epochs: {digits}}}"]))
    assert settings == {"training": {"epochs": digits}}
    with pytest.raises(StudyError, match=r"training.epochs: found '9+…? \(text\)"):
        resolve_study(changed() | settings)
