"""What is wrong with a plugin, or with how it is named: one clear line, status 2, nothing done."""

import re
from pathlib import Path

import pytest

from rps_bench.methods import METHODS
from rps_bench.methods.base import Method
from tests.conftest import Command
from tests.plugins.conftest import TINY

HEAD = """
from dataclasses import dataclass, field
from typing import Any, ClassVar
from rps_bench.datasets import DatasetInfo
from rps_bench.methods.base import Method
from rps_bench.methods.pruning.base import PruningMethod
from rps_bench.methods.pruning.magnitude import Magnitude
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.models.base import Network
"""
FACTS = (
    "name='mine', num_classes=2, image_size=8, mean=(.5, .5, .5), std=(.5, .5, .5), "
    "num_train=8, num_test=4, flip=False"
)


def method(body: str, base: str = "Magnitude", decorator: str = "@dataclass(frozen=True)") -> str:
    """A file with one method called mine."""
    lines = [decorator, f"class Mine({base}):", "    name: ClassVar[str] = 'mine'"]
    return "\n".join(
        [*lines, *(f"    {line}" for line in body.split("\n")), "METHODS = {'mine': Mine}"]
    )


def network(body: str, base: str = "Network") -> str:
    """A file with one network called mine."""
    lines = [f"class Mine({base}):", *(f"    {line}" for line in body.split("\n"))]
    return "\n".join([*lines, "ARCHITECTURES = {'mine': Mine}"])


INIT = (
    "def __init__(self, num_classes, width=4, generator=None):\n"
    "    super().__init__(num_classes, width, generator)"
)

# The content of my.py after HEAD, and what the line says.
FILES = {
    "empty": ("", r"plugin my.py offers nothing: it needs one of METHODS, ARCHITECTURES, DATASETS"),
    "empty table": ("METHODS = {}", "plugin my.py offers nothing"),
    "no table": ("METHODS = [Magnitude]", "my.py: METHODS must be a table of names, .* got list"),
    "own table": (
        "from rps_bench.methods import METHODS",
        "METHODS is the package's own; write METHODS = .* instead of importing it",
    ),
    "raises": ("1 / 0", "plugin my.py cannot be imported .ZeroDivisionError: division by zero"),
    "exits": ("import sys; sys.exit(3)", "plugin my.py cannot be imported .SystemExit: 3"),
    "no Python": ("def", "plugin my.py cannot be imported .SyntaxError: invalid syntax"),
    "not installed": ("import no_such_library", "No module named 'no_such_library'"),
    "own name": (
        method("").replace("mine", "mag"),
        "plugin my.py: the method mag is one of rps_bench itself; rename it",
    ),
    "odd name": (
        method("").replace("mine", "my-method"),
        "'?my-method'? cannot name a method: up to",
    ),
    "taken word": (
        method("").replace("mine", "null"),
        "cannot name a method: .* none of true, false",
    ),
    "number as name": ("METHODS = {3: Magnitude}", "3 cannot name a method"),
    "no class": ("METHODS = {'mine': 3}", "method mine must be a subclass of .*Method, got int"),
    "other class": ("METHODS = {'mine': dict}", "method mine must be .*, got the class dict"),
    "abstract": (method("", "PruningMethod"), "method mine must define scores"),
    "two abstract": (method("", "Method"), "method mine must define _compress"),
    "undecorated": (method("", decorator=""), r"method mine needs @dataclass\(frozen=True\) above"),
    "other name": (
        method("").replace("'mine'\n", "'yours'\n"),
        "method mine needs name: ClassVar.str. = 'mine' in its class, got yours",
    ),
    "no default": (
        method("power: float = field(kw_only=True)"),
        "method mine needs a default for its option power",
    ),
    "factory": (
        method("power: list = field(default_factory=list)"),
        "method mine needs a default for its option power, without a factory",
    ),
    "list": (method("power: Any = (1, 2)"), r"as default of power, got \[1, 2\]"),
    "own default": (
        method("power: int = 'much'"),
        "default that is none: method.power must be a whole number, got much",
    ),
    "infinite": (method("power: float = float('inf')"), "method.power must be a finite number"),
    "reserved": (
        method("fixed_compression: int = 1"),
        "method mine cannot call an option fixed_compression",
    ),
    "annotation": (
        method("power: 'Nothing' = 1"),
        "annotations that cannot be read .name 'Nothing'",
    ),
    "no module": (
        "ARCHITECTURES = {'mine': dict}",
        "network mine must be a subclass of .*Network",
    ),
    "no width": (
        network(INIT),
        "network mine needs default_width, a whole number from 1 up, got null",
    ),
    "no size of images": (
        network(f"default_width = 4\nsmallest_image = 0\n{INIT}"),
        "network mine needs smallest_image, a whole number from 1 up, got 0",
    ),
    "images below none": (
        f"DATASETS = {{'mine': DatasetInfo({FACTS}, smallest_size=9, load=print)}}",
        "dataset mine needs smallest_size, a whole number from 1 to its image_size 8, got 9",
    ),
    "no signature": (
        network("default_width = 4\ndef __init__(self): super().__init__(10, 4)"),
        r"must be built as Mine\(num_classes, width, generator\)",
    ),
    "unbuildable": (
        network(f"default_width = 4\n{INIT}\n    1 / 0"),
        "network mine cannot be built .ZeroDivisionError",
    ),
    "no attribute": (
        network(f"default_width = 4\n{INIT}\n    self.num_classes = 3"),
        "network mine must keep num_classes as an attribute: self.num_classes",
    ),
    "no facts": ("DATASETS = {'mine': 3}", "dataset mine must be a .*DatasetInfo, got int"),
    "other facts": (
        f"DATASETS = {{'yours': DatasetInfo({FACTS})}}",
        "dataset yours needs name='yours', got mine",
    ),
    "no images": (
        f"DATASETS = {{'mine': DatasetInfo({FACTS})}}",
        "dataset mine needs load, a function",
    ),
    "no classes": (
        f"DATASETS = {{'mine': DatasetInfo({FACTS}, load=print)}}".replace(
            "classes=2", "classes=0"
        ),
        "dataset mine needs num_classes, a whole number from 1 up, got 0",
    ),
    "no spread": (
        f"DATASETS = {{'mine': DatasetInfo({FACTS.replace('std=(.5', 'std=(0')}, load=print)}}",
        "dataset mine needs std, three numbers above 0",
    ),
    "map without kind": (
        "class MyMap(HashedMap):\n    kind = ''\n" + method(""),
        "plugin my.py: the kind of MyMap must be a non-empty text",
    ),
    "taken map": (
        "class MyMap(HashedMap):\n    kind = 'hashed'\n" + method(""),
        "plugin my.py: the kind 'hashed' of .*MyMap is that of .*HashedMap already",
    ),
    "no map": (
        method("", "SharingMethod"),
        "method mine needs map_type, a subclass of SharingMap, got NoneType",
    ),
    "map that files cannot name": (
        "class MyMap(HashedMap): pass\n" + method("map_type = MyMap", "SharingMethod"),
        "method mine needs a kind of its own in its map MyMap: kind = 'NAME'",
    ),
}
MINE = HEAD + method("")

# Words beside a file my.py that is as it should be, and what the line says.
WORDS = {
    "plugins=my.py": r"plugins must be a list of files and modules .*, got my.py; type \[my.py\]$",
    "plugins=null": "plugins must be a list of files and modules such as .*, got null",
    "plugins=[3]": "plugins must be a non-empty text, got 3",
    "plugins=[other.py]": "plugins: there is no file other.py",
    "plugins=[results/]": "plugins: there is no file results/",
    "plugins=[./text.txt]": "text.txt is no Python file, whose name would end in .py",
    "plugins=[a-b]": "a-b'? is neither a file such as my_methods.py nor a module",
    "plugins=[no_such_module]": "plugin no_such_module cannot be imported",
    "plugins=[json]": "plugin json offers nothing",
    "plugins=[sys]": "plugin sys has no Python files",
    "plugins.0=my.py": "plugins are one list for all runs, such as plugins=.a.py,b.py.",
    "-m plugins=[my.py],[]": "plugins are one list for all runs",
    "~plugins": "the key plugins is missing",
    "plugins=[my.py,twin.py]": "plugin twin.py: the method mine is one of plugin my.py, too",
    "plugins=[my.py] method=mime": "did you mean mine.",
    "plugins=[my.py] method=foo": "got foo; one of your own comes with plugins=.FILE.py.$",
    "plugins=[my.py] method=mine method.foo=1": "unknown key method.foo; allowed: method.name, ",
    "plugins=[my.py] method=mine +method.foo=1": "option of method mine: foo; allowed: rounds",
    "plugins=[my.py] method=mine method.rounds=1.5": "rounds must be a whole number, got 1.5",
    "--cfg job plugins=[other.py]": "plugins: there is no file other.py",
}


def refusal(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str
) -> str:
    before = sorted(tmp_path.rglob("*.*"))
    assert command(*TINY, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert [path for path in sorted(tmp_path.rglob("*.*")) if path not in before] == []
    assert not (tmp_path / "results").exists()
    return line


@pytest.mark.parametrize("case", FILES)
def test_bad_files(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    content, line = FILES[case]
    (tmp_path / "my.py").write_text(HEAD + content)
    shown = refusal(command, capsys, tmp_path, "plugins=[my.py]")
    assert re.search(line, shown), shown
    assert "mine" not in METHODS


@pytest.mark.parametrize("words", WORDS)
def test_bad_words(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    (tmp_path / "my.py").write_text(MINE)
    (tmp_path / "twin.py").write_text(MINE + "\n")
    (tmp_path / "text.txt").write_text(MINE)
    shown = refusal(command, capsys, tmp_path, *words.split())
    assert re.search(WORDS[words], shown), shown


def test_a_method_of_no_kind(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for own in METHODS.values():
        monkeypatch.setattr(own, "kind", "pruning", raising=False)
    body = "def _compress(self, model, probe): ..."
    (tmp_path / "my.py").write_text(HEAD + method(body, "Method"))
    shown = refusal(command, capsys, tmp_path, "plugins=[my.py]")
    assert "method mine needs kind: ClassVar[str], one of pruning" in shown
    assert Method.__abstractmethods__


IMAGES = """
import numpy as np
def load(root):
    images, labels = np.zeros((4, 3, 8, 8), np.uint8), np.arange(4) % 2
    return {{'train': (images, labels), 'test': {test}}}
DATASETS = {{'mine': DatasetInfo({facts}, load=load)}}
"""
LOADED = {
    "(images[:, :1], labels)": r"got for test uint8 \(4, 1, 8, 8\) and int64 \(4,\)",
    "(images / 255, labels)": r"with uint8 images .* got for test float64",
    "(images, labels / 1)": r"got for test labels float64 \(4,\)",
    "(images, labels + 1)": "the labels of test must be from 0 to 1",
    "(images[:0], labels[:0])": "test must have 1 to 4 images, got 0",
    "images": "of test it does not",
}


@pytest.mark.parametrize("test", LOADED)
def test_images_that_are_not_as_the_facts_say(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], test: str
) -> None:
    (tmp_path / "my.py").write_text(HEAD + IMAGES.format(test=test, facts=FACTS))
    words = ("plugins=[my.py]", "dataset=mine", "method=mag", "compression=2", "arch.width=2")
    assert command(*words, *TINY) == 2
    line = capsys.readouterr().err.splitlines()[0]
    assert re.search(f"mine: .*{LOADED[test]}", line), line
    assert not list(tmp_path.rglob("*.json"))
