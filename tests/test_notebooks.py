"""Notebooks: each percent script runs, defines nothing, and has an executed .ipynb in step."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NAMES = ("method_explainer", "pareto_walkthrough", "theory")
EXECUTE = ROOT / "scripts" / "execute_notebooks.py"
LARGEST_BYTES = 500_000
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

# An absolute path, a home folder, or the address of an object.
MACHINE = re.compile(
    r"(?<![\w.:/])/(?:home|root|tmp|work|Users|usr|opt|var|mnt|data|private)/"
    r"|\b[A-Z]:\\|site-packages|\bat 0x[0-9a-f]+"
)

each_notebook = pytest.mark.parametrize("name", NAMES)


def run(*words: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in a fresh process, warnings as errors, away from the notebooks' own folder."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, "-W", "error", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT.parent)


def read_notebook(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def cells_of(name: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = read_notebook(FOLDER / f"{name}.ipynb")["cells"]
    return cells


def linked_pictures(name: str) -> list[str]:
    text = "".join("".join(cell["source"]) for cell in cells_of(name))
    return re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)


def code_cells(name: str) -> list[dict[str, Any]]:
    return [cell for cell in cells_of(name) if cell["cell_type"] == "code"]


def texts_of(output: dict[str, Any]) -> list[str]:
    """All that an output says in words: streams, and representations that are no picture."""
    shown = [text for kind, text in output.get("data", {}).items() if not kind.startswith("image/")]
    return ["".join(text) for text in [*shown, output.get("text", [])]]


def test_every_script_has_its_notebook_and_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(NAMES)
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@each_notebook
def test_the_script_runs_in_a_fresh_process(name: str) -> None:
    done = run(FOLDER / f"{name}.py")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "stable_rps" in done.stdout
    assert "False" not in done.stdout, "a check that the notebook prints does not hold"


def test_the_walkthrough_reads_the_folder_it_is_told(tmp_path: Path) -> None:
    records = ROOT / "results" / "records" / "cifar10" / "resnet20"
    copied = tmp_path / "records" / "cifar10" / "resnet20"
    copied.mkdir(parents=True)
    for path in [*records.glob("*-dense-1x-quick-s0-*"), *records.glob("*-mag-10x-quick-s0-*")]:
        shutil.copy(path, copied)
    (copied / "broken.json").write_text("{")
    before = sorted(tmp_path.rglob("*"))
    done = run(FOLDER / "pareto_walkthrough.py", RPS_BENCH_RESULTS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "2 records" in done.stdout
    assert "1 unreadable" in done.stdout
    assert "broken_file" in done.stdout
    assert "10x: 63.77% by mag (n = 1)" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before, "a notebook writes nothing"


@each_notebook
def test_the_script_defines_nothing(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    found = [node.lineno for node in ast.walk(tree) if isinstance(node, DEFINITIONS)]
    assert found == []


@each_notebook
def test_the_notebook_is_in_step_with_the_script(name: str) -> None:
    script = jupytext.read(FOLDER / f"{name}.py", fmt="py:percent")
    expected = [(cell["cell_type"], cell["source"]) for cell in script.cells]
    written = [(cell["cell_type"], "".join(cell["source"])) for cell in cells_of(name)]
    assert written == expected, "execute the notebooks again"


@each_notebook
def test_the_notebook_was_executed_in_order_without_error(name: str) -> None:
    cells = code_cells(name)
    counts = [cell["execution_count"] for cell in cells]
    assert counts == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    kinds = {output["output_type"] for output in outputs}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert {output.get("name") for output in outputs if "name" in output} <= {"stdout"}
    num_drawn = sum("image/png" in output.get("data", {}) for output in outputs)
    assert num_drawn + len(linked_pictures(name)) >= 4


@each_notebook
def test_linked_pictures_are_there(name: str) -> None:
    for picture in linked_pictures(name):
        assert (FOLDER / picture).is_file(), picture


@each_notebook
def test_the_notebook_is_small_and_names_no_machine(name: str) -> None:
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < LARGEST_BYTES
    notebook = read_notebook(path)
    words = ["".join(cell["source"]) for cell in notebook["cells"]]
    words += [
        text for cell in code_cells(name) for out in cell["outputs"] for text in texts_of(out)
    ]
    for text in words:
        assert not MACHINE.search(text)
        assert str(ROOT) not in text
        assert str(Path.home()) not in text
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert {str(cell["metadata"]) for cell in notebook["cells"]} == {"{}"}


def test_paths_of_a_machine_are_seen() -> None:
    for text in (
        "in /tmp/x",
        "'/home/me/results'",
        "C:\\Users",
        "<Axes at 0x7f00>",
        "(/opt/rps_bench",
    ):
        assert MACHINE.search(text), text
    for text in ("results/records", "https://arxiv.org/home/x", "w / (m - 1)", "../data/x"):
        assert not MACHINE.search(text), text


TINY = """\
# %% [markdown]
# # Title

# %%
import matplotlib.pyplot as plt

print(6 * 7)

# %%
figure, axes = plt.subplots()
_ = axes.plot([1, 2])
"""


def test_executing_again_writes_the_same_bytes_and_stops_at_a_failing_cell(tmp_path: Path) -> None:
    scripts = [tmp_path / "first.py", tmp_path / "again.py", tmp_path / "failing.py"]
    for script, text in zip(
        scripts, (TINY, TINY, "# %%\nraise ValueError('no such thing')\n"), strict=True
    ):
        script.write_text(text)
    done = run(EXECUTE, *scripts, MPLBACKEND="Agg")  # which must not keep pictures out
    assert done.returncode == 1
    assert "failing.py" in done.stderr
    assert "no such thing" in done.stderr
    first, again, failing = [script.with_suffix(".ipynb") for script in scripts]
    assert not failing.exists()
    assert first.read_bytes() == again.read_bytes()

    title, number, picture = read_notebook(first)["cells"]
    assert title["source"] == ["# Title"]
    assert number["outputs"][0]["text"] == ["42\n"]
    assert set(picture["outputs"][0]["data"]) == {"image/png", "text/plain"}
    assert [cell["id"] for cell in (title, number, picture)] == ["cell-0", "cell-1", "cell-2"]
