"""The door of the studies: command line, files, and what every study owes."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rps_bench.core.conf_folder import config_folder
from rps_bench.studies import STUDIES
from rps_bench.studies.__main__ import main, read_options

SMALL = ["archs=[resnet20]", "compressions=[1,10]", "methods=[rpg,hashednet]"]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_its_values_in_a_file_that_opens_with_its_command(name: str) -> None:
    study = read_options(name)
    assert study.name == name
    text = (config_folder() / "study" / f"{name}.yaml").read_text()
    assert text.startswith(f"# python -m rps_bench.studies {name}\n# Expect: ")


def test_every_file_is_a_study() -> None:
    assert {path.stem for path in (config_folder() / "study").iterdir()} == set(STUDIES)


def test_files_of_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "studies"
    assert main(["load", *SMALL, "--folder", str(folder)]) == 0
    names = {f"load.{kind}" for kind in ("csv", "json", "png", "svg", "pdf")}
    assert {path.name for path in folder.iterdir()} == names
    assert {Path(line).name for line in capsys.readouterr().out.splitlines()} == names
    table = pd.read_csv(folder / "load.csv")
    assert list(table["method"]) == ["rpg", "rpg", "hashednet", "hashednet"]
    description = json.loads((folder / "load.json").read_text())
    assert description["options"]["compressions"] == [1, 10]
    assert description["provenance"]["cpu_model"]


def test_the_figure_can_be_drawn_again(tmp_path: Path) -> None:
    assert main(["load", *SMALL, "--folder", str(tmp_path)]) == 0
    before = (tmp_path / "load.svg").read_bytes()
    (tmp_path / "load.svg").unlink()
    assert main(["load", *SMALL, "--folder", str(tmp_path), "--draw-only"]) == 0
    assert (tmp_path / "load.svg").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["load", "tile=3"], "unknown option of study load: tile; allowed: archs, methods, "),
        (
            ["load", "seed"],
            "an option is written key=value, without spaces, got seed; did you mean seed=?",
        ),
        (["load", "seed=-1"], "seed must be a whole number from 0 up, got -1"),
        (["load", "--draw-only"], "first run python -m rps_bench.studies load"),
        (["all", "seed=1"], "options belong to one study: name it instead of all"),
    ],
)
def test_mistakes_end_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--folder", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_study_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lod"]) == 2
    assert capsys.readouterr().err.endswith(", all, got lod; did you mean load?\n")
