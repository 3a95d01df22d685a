"""What the documents promise is there: commands, links, paths, code."""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rps_bench.config import RunConfig
from rps_bench.export import read_words
from rps_bench.plan import WEIGHTS_FLAG
from rps_bench.sweep.command_line import asks_for_information, parse_words, take_watch
from rps_bench.sweep.planning import plan_runs
from rps_bench.sweep.preflight import check_buildable
from rps_bench.tune import plan_trials
from scripts.documents.__main__ import ROOT, find_documents

DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text() for path in find_documents()}
ROOMS = ("conf", "rps_bench", "scripts", "hydra_plugins", "notebooks", "tests")
OF_OTHERS = ("source", "export", "wandb", "python3")  # first words of commands that are not ours

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")

each_document = pytest.mark.parametrize("name", DOCUMENTS)


def fenced(name: str, language: str) -> list[str]:
    """The blocks of a document in one language; "" is none."""
    return [text for word, text in _FENCED.findall(DOCUMENTS[name]) if word == language]


def inline(name: str) -> list[str]:
    """What a document sets between backticks, blocks aside."""
    found: list[str] = _INLINE.findall(_FENCED.sub("", DOCUMENTS[name]))
    return found


def commands_of(name: str) -> Iterator[list[str]]:
    """The words of every command of a document, in blocks and in sentences."""
    lines = "\n".join(fenced(name, "sh")).replace("\\\n", " ").splitlines()
    lines += [text for text in inline(name) if re.match(r"(python -m|make) ", text)]
    yield from filter(None, (shlex.split(line, comments=True) for line in lines))


COMMANDS = sorted({shlex.join(words) for name in DOCUMENTS for words in commands_of(name)})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_true(command: str) -> None:
    first, *words = shlex.split(command)
    if first == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in words if "=" not in word} <= set(targets)
    elif first == "pip":
        ((extra,),) = [re.findall(r"\.\[(\w+)\]", word) for word in words[2:]]
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert extra in project["optional-dependencies"]
    elif first == "python" and words[0] == "-m":
        check_module(words[1], words[2:])
    elif first == "python":
        assert (ROOT / words[0]).is_file()
    else:
        assert first in OF_OTHERS


def check_module(module: str, words: list[str]) -> None:
    """A module with words that it takes: runs are planned and built, the others' words parsed."""
    assert find_spec(module) is not None
    # What is tuned is planned like what is not: its choices are made by another command.
    words = [word for word in words if word != "protocol=tuned"]
    if module == "rps_bench.tune":
        if words != ["WORDS"]:
            check_buildable(plan_trials(words, None).configs)
    elif module in ("rps_bench", "rps_bench.plan"):
        if module == "rps_bench.plan":
            words = [word for word in take_watch(words)[0] if word != WEIGHTS_FLAG]
        arguments = parse_words(words)
        if not asks_for_information(arguments):
            plan_and_build(arguments.multirun, *arguments.overrides)
    elif module == "rps_bench.export":
        read_words(words)
    elif words and "--help" not in words:
        parse: Callable[[list[str]], Any] = import_module(f"{module}.__main__")._parse
        parse(words)


@cache
def plan_and_build(is_sweep: bool, *overrides: str) -> list[RunConfig]:
    """The runs of a command, of which nothing is trained; the device is whatever is here."""
    configs = plan_runs(overrides, is_sweep).configs
    check_buildable(configs)
    return configs


def test_there_are_commands_of_every_kind() -> None:
    firsts = {command.partition(" ")[0] for command in COMMANDS}
    assert firsts == {"make", "pip", "python", *OF_OTHERS[:3]}
    assert sum(command.startswith("python -m rps_bench ") for command in COMMANDS) > 10


@each_document
def test_links_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    for place, anchor in _LINK.findall(DOCUMENTS[name]):
        path = (folder / place).resolve() if place else ROOT / name
        assert path.exists(), place
        if anchor:
            assert anchor in headings_of(path), f"{place}#{anchor}"


def headings_of(path: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    text = _FENCED.sub("", path.read_text())
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_paths_are_there() -> None:
    missing = [
        f"{name}: {text}"
        for name in DOCUMENTS
        for text in inline(name)
        if re.fullmatch(rf"(?:{'|'.join(ROOMS)})/[\w/.-]*", text)
        and not re.search(r"mine|NAME", text)
        and not (ROOT / text).exists()
    ]
    assert missing == []


def test_the_tree_names_every_room_and_nothing_else() -> None:
    (tree,) = [text for text in fenced("README.md", "") if "rps_bench/\n" in text]
    named = set(tree_paths(tree))
    assert [path for path in named if not (ROOT / path).exists()] == []
    rooms = {path.parent.name for path in (ROOT / "rps_bench").glob("*/__init__.py")}
    assert {f"rps_bench/{room}" for room in rooms} <= named


def tree_paths(tree: str) -> Iterator[str]:
    """The paths that a tree draws by indentation; a line may name several in one folder."""
    folders: list[str] = []
    for line in tree.splitlines():
        indent = (len(line) - len(line.lstrip())) // 2
        names = line.split("  ")[indent].split() if line.strip() else []
        del folders[indent:]
        yield from ("/".join([*folders, name.rstrip("/")]) for name in names)
        folders.append(names[0].rstrip("/") if names else "")


def test_a_tree_is_read_by_its_indentation() -> None:
    tree = "conf/    one\nrun/\n  a.py b.py   two\n  sub/  x\n    c.py   y\ntests/   z\n"
    paths = ["conf", "run", "run/a.py", "run/b.py", "run/sub", "run/sub/c.py", "tests"]
    assert list(tree_paths(tree)) == paths


@each_document
def test_code_runs_and_gives_what_stands_beside_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for text in fenced(name, "python"):
        names: dict[str, Any] = {}
        exec(text, names)
        for expression, expected in re.findall(r"^(.+?)  # (\(.+)$", text, re.M):
            assert eval(expression, names) == eval(expected), expression
