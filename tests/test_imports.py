"""Imports point one way, without a circle, and the command line starts without torch."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rps_bench"

# The floors of the house, the ground first: a room may import itself and the rooms of its line,
# all of which stand above it in this table. The modules at the package's top are rooms of one
# file. Imports inside functions and those for types only count as well.
FLOORS: dict[str, str] = {
    "core": "",
    "runtime": "core",
    "datasets": "core runtime",
    # Kernels of training steps: networks name the steps that may be one pass.
    "engine": "core runtime",
    "models": "core engine",
    "methods": "core models",
    "costs": "core runtime methods",
    "training": "core runtime datasets engine methods",
    "plugins": "core datasets models methods",
    "__init__": "runtime plugins",
    # One run, frozen: the fields of a recipe are those of training.
    "config": "core datasets engine training",
    "records": "core runtime datasets engine methods costs training config",
    # Records never depend on it.
    "tracking": "core runtime datasets training records",
    # Learning rates that were chosen: a run that is tuned takes its own.
    "tuning": "core runtime config",
    # What a run is, before any is done.
    "sweep": "core runtime datasets engine models methods training plugins config records tracking"
    " tuning",
    # The spine sees all that a run needs, and nothing of how runs are launched.
    "run": "core runtime datasets engine models methods costs training config records tracking",
    "launch": "core runtime datasets training plugins config records tracking sweep run",
    # Reads records only; dataset facts for chance levels, a recipe's fields for options.
    "reports": "core datasets engine training config records tracking tuning",
    # Rooms with a door of their own.
    "inference": "core runtime models methods costs records reports",
    "studies": "core datasets models methods training records sweep reports",
    "plan": "core runtime config records sweep",
    "tune": "core runtime records sweep tuning launch",
    "export": "core datasets methods plugins records",
    "__main__": "core runtime sweep launch",
}
BELOW = {room: set(rooms.split()) for room, rooms in FLOORS.items()}
# Modules that one other alone may import.
SHUT = {
    "rps_bench.launch.concurrent": "rps_bench.launch.jobs",
    "rps_bench.launch.streams": "rps_bench.launch.concurrent",
}


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file of everything in the package; a package has its ``__init__``'s."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a file names in its imports, anywhere in it.

    That a module's packages are run before it counts as no import of theirs.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def graph() -> dict[str, set[str]]:
    """Module -> the modules that it imports."""
    return {
        name: {other for other in imported(path) if other in modules()}
        for name, path in modules().items()
    }


def room_of(module: str) -> str:
    """The first name below the package's."""
    return module.split(".")[1] if "." in module else "__init__"


def arrows() -> dict[str, set[str]]:
    """Room -> the other rooms that its modules import; ``__version__`` is everybody's."""
    found: dict[str, set[str]] = {room: set() for room in map(room_of, modules())}
    for module, others in graph().items():
        found[room_of(module)] |= {room_of(other) for other in others if "." in other}
    return {room: others - {room} for room, others in found.items()}


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Names that import each other in turn, empty where there are none."""
    rest = dict(graph)
    while free := [name for name, others in rest.items() if not others & rest.keys()]:
        for name in free:
            del rest[name]
    way: list[str] = []
    name = min(rest, default="")
    while name and name not in way:
        way.append(name)
        name = min(rest[name] & rest.keys())
    return way[way.index(name) :] if name else []


def test_every_room_has_its_floor() -> None:
    assert arrows().keys() == BELOW.keys()


def test_the_table_leads_down_only() -> None:
    floors = list(BELOW)
    for room, below in BELOW.items():
        assert below <= set(floors[: floors.index(room)]), room


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_what_its_line_names(room: str) -> None:
    assert arrows()[room] == BELOW[room]


def test_no_modules_import_each_other() -> None:
    assert find_circle(graph()) == []


def test_a_circle_is_found() -> None:
    assert find_circle({"a": {"b"}, "b": set(), "c": {"d", "b"}, "d": {"e"}, "e": {"c"}}) == [
        "c", "d", "e",
    ]  # fmt: skip


@pytest.mark.parametrize("inner", SHUT)
def test_one_door_leads_to_what_is_shut(inner: str) -> None:
    assert [name for name, others in graph().items() if inner in others] == [SHUT[inner]]


def test_the_loose_modules_are_few() -> None:
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__", "__main__", "config", "export", "plan", "run", "tune"}


def modules_after(code: str, tmp_path: Path) -> set[str]:
    """Names of the modules loaded after running ``code`` in a fresh interpreter."""
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
        env=environment,
    )
    return set(result.stdout.split())


def test_the_package_itself_imports_no_plugins(tmp_path: Path) -> None:
    """Every command imports it first."""
    assert "rps_bench.plugins" not in modules_after("import rps_bench", tmp_path)
    code = "from rps_bench import load_plugins; load_plugins(['tests.plugins.my_methods'])"
    assert "rps_bench.plugins" in modules_after(code, tmp_path)


def test_the_door_and_a_plan_import_no_torch(tmp_path: Path) -> None:
    loaded = modules_after(
        "import rps_bench.__main__\n"
        "from rps_bench.sweep.planning import plan_runs\n"
        "plan_runs(['method=dense,mag', 'compression=1,10'], True)",
        tmp_path,
    )
    assert "rps_bench.sweep.planning" in loaded
    assert not loaded & {"torch", "pandas", "matplotlib", "wandb", "sklearn"}


def test_a_run_imports_no_compiler_of_graphs(tmp_path: Path) -> None:
    """PyTorch's optimizers import it, for seconds in each process of a sweep."""
    words = ["recipe=smoke", "arch.width=4", "engine=plain", f"results_dir={tmp_path}"]
    code = (
        "import sys\nfrom contextlib import suppress\nfrom rps_bench.__main__ import main\n"
        f"sys.argv[1:] = {words}\nwith suppress(SystemExit):\n    main()"
    )
    loaded = modules_after(code, tmp_path)
    assert list(tmp_path.rglob("*.json"))
    assert not loaded & {"torch._dynamo", "sklearn", "sympy", "wandb", "matplotlib"}


def test_help_imports_nothing_of_a_run(tmp_path: Path) -> None:
    code = (
        "import io, sys\nfrom contextlib import redirect_stdout, suppress\n"
        "from rps_bench.__main__ import main\nsys.argv[1:] = ['--help']\n"
        "with redirect_stdout(io.StringIO()), suppress(SystemExit):\n    main()"
    )
    loaded = modules_after(code, tmp_path)
    assert "rps_bench.sweep.information" in loaded
    assert not {name.split(".")[1] for name in loaded if name.startswith("rps_bench.")} & {
        *("config", "training", "records", "tracking", "run", "launch"),
    }
    assert not loaded & {"torch", "rich.console", "filelock", "urllib.request"}


@pytest.mark.parametrize("module", ["rps_bench.records", "rps_bench.reports.__main__"])
def test_records_and_reports_import_no_torch(module: str, tmp_path: Path) -> None:
    assert "torch" not in modules_after(f"import {module}", tmp_path)
