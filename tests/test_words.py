"""The one voice of docstrings: what a function gives is a noun phrase, what it does an imperative.

"The rows of a table.", "Whether a run is done.", "Write a file.": never "Return the rows".
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("rps_bench", "scripts", "hydra_plugins")
OTHER_VOICE = re.compile(
    r"(Returns?|Gets?|Gives|Tells|Writes|Makes|Computes|Yields|Tell whether|Check whether)\s"
    r"|This (function|method|class|module|generator)\b"
)


def find_other_voices(source: str) -> Iterator[tuple[int, str]]:
    """The line and the first words of each docstring that opens in another voice."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(source)):
        text = ast.get_docstring(node) if isinstance(node, kinds) else None
        if text and OTHER_VOICE.match(text):
            yield getattr(node, "lineno", 1), text.splitlines()[0]


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_have_one_voice(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for path in paths
        for line, words in find_other_voices(path.read_text())
    ]
    assert not found, "\n".join(["open with a noun phrase or an imperative:", *found])


@pytest.mark.parametrize(
    ("opening", "is_refused"),
    [
        ("Return the rows.", True),
        ("Returns the rows.", True),
        ("Gets the rows.", True),
        ("This function writes a file.", True),
        ("The rows.", False),
        ("Whether a row is there.", False),
        ("Write a file; return its path.", False),
        ("Returned rows.", False),
    ],
)
def test_what_counts_as_another_voice(opening: str, is_refused: bool) -> None:
    source = f'def rows() -> None:\n    """{opening}"""\n'
    expected = [(1, opening)] if is_refused else []
    assert list(find_other_voices(source)) == expected
