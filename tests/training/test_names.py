"""The training room asks no method's name: it holds no such text and imports no method."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rps_bench.training
from rps_bench.methods import METHODS

FILES = sorted(Path(rps_bench.training.__path__[0]).rglob("*.py"))
METHOD_MODULES = {method.__module__ for method in METHODS.values()}
FORBIDDEN = ("rps_bench.methods.sharing", "rps_bench.methods.pruning", *METHOD_MODULES)


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module or module.name that a file imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports would hide where they lead"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_files_are_found() -> None:
    assert {"loop.py", "schedule.py", "evaluation.py"} <= {path.name for path in FILES}
    assert len(METHOD_MODULES) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_method_is_named(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    classes = {method.__name__ for method in METHODS.values()}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not texts & set(METHODS)
    assert not (names | attributes) & classes
    assert not (names | attributes) & {"METHODS", "build_method"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_method_is_imported(path: Path) -> None:
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        assert not any(name == bad or name.startswith(f"{bad}.") for bad in FORBIDDEN), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports_point_down(path: Path) -> None:
    above = ("records", "reports", "tracking", "run", "__main__", "sweep", "config", "console")
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        assert not any(f"{name}.".startswith(f"rps_bench.{room}.") for room in above), name
