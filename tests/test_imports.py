"""Imports point one way, and the command line starts without torch."""

import ast
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "rps_bench"

# A room may import itself, what is below it, and the plain modules at the package's top.
BELOW: dict[str, set[str]] = {
    "datasets": set(),
    "models": set(),
    "methods": {"models"},
    "costs": {"models", "methods"},
    "training": {"datasets", "models", "methods", "costs"},
    "records": {"datasets", "models", "methods", "costs", "training", "config", "reasons"},
    "tracking": {"datasets", "records", "training", "reports"},
    # Reads records only; dataset facts for chance levels, the recipe's fields for its options.
    "reports": {"datasets", "records", "training", "tracking"},
    # With a door of its own, which finds conf/ as the main one does.
    "studies": {"datasets", "models", "methods", "training", "records", "reports"}
    | {"refusals", "sweep"},
    # What others add to the registries, and how a command line names it.
    "plugins": {"datasets", "models", "methods"} | {"sources", "expansion"},
    # With a door of its own, too.
    "inference": {"models", "methods", "costs", "records", "reports", "devices"},
}
TOP_FOR_ALL = {
    *("errors", "seeds", "atomic", "checks", "locks", "storages", "interrupts", "heap", "turns"),
    "permissions",
    "waiting",
    *("origins", "conf_folder", "kinds"),
    *("arguments", "nearest", "output", "shown"),  # of every command
}


def imported_rooms(path: Path) -> set[str]:
    """First names below ``rps_bench`` that a file imports, anywhere in it."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "rps_bench":
                names = [f"rps_bench.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("rps_bench.")}
    return rooms


def test_every_room_is_known() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(BELOW)


def test_imports_point_one_way() -> None:
    wrong = []
    for room, below in BELOW.items():
        for path in sorted((PACKAGE / room).rglob("*.py")):
            for other in imported_rooms(path) - below - {room, "__version__"} - TOP_FOR_ALL:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert wrong == []


def test_plain_modules_import_no_room() -> None:
    for name in TOP_FOR_ALL:
        assert imported_rooms(PACKAGE / f"{name}.py") <= TOP_FOR_ALL, name


def test_only_the_run_and_the_door_see_all_rooms() -> None:
    for path in PACKAGE.glob("*.py"):
        if path.stem not in {"run", "__main__", "preflight", "export", "workload"}:
            assert not imported_rooms(path) & {"methods", "costs", "reports"}, path.name


def find_circle(arrows: dict[str, set[str]]) -> list[str]:
    """Names that lead to each other; none where imports are a tree of floors."""
    left = dict(arrows)
    while ground := [name for name, below in left.items() if not below & left.keys()]:
        left = {name: below for name, below in left.items() if name not in ground}
    return sorted(left)


def test_no_module_of_the_methods_imports_one_that_needs_it() -> None:
    """Not in a function either, nor for types alone."""
    paths = {
        f"rps_bench.{'.'.join(path.relative_to(PACKAGE).with_suffix('').parts)}": path
        for path in (PACKAGE / "methods").rglob("*.py")
    }
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    arrows: dict[str, set[str]] = {}
    for name, path in paths.items():
        arrows[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names} & paths.keys()
                arrows[name] |= inside or {node.module}
    assert find_circle(arrows) == []


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


def test_the_door_and_a_plan_import_no_torch(tmp_path: Path) -> None:
    loaded = modules_after(
        "import rps_bench.__main__\n"
        "from rps_bench.sweep import plan_runs\n"
        "plan_runs(['method=dense,mag', 'compression=1,10'], True)",
        tmp_path,
    )
    assert "rps_bench.sweep" in loaded
    assert not loaded & {"torch", "pandas", "matplotlib", "wandb", "sklearn"}


def test_the_package_itself_is_light(tmp_path: Path) -> None:
    loaded = modules_after("import rps_bench; rps_bench.load_plugins", tmp_path)
    assert not loaded & {"torch", "hydra", "omegaconf", "numpy", "pandas"}


def test_reports_import_no_torch(tmp_path: Path) -> None:
    assert "torch" not in modules_after("import rps_bench.reports.__main__", tmp_path)
