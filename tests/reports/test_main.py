import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports import Results
from rps_bench.reports import __main__ as command
from rps_bench.reports.__main__ import main
from tests.conftest import Disk

TABLES = ("table.csv", "table.parquet", "summary.csv", "summary.md", "summary.tex")


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


def test_it_writes_and_says_where(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path, *_) = sorted(study_folder.rglob("*.json"))
    path.with_name("broken.json").write_text("{")
    shutil.copy(path, path.with_name("copy.json"))
    assert main([str(study_folder), "--only", "table"]) == 0
    out, err = capsys.readouterr()
    first, *files = out.splitlines()
    assert first == f"16 records under {study_folder / 'records'}"
    assert files == [str(study_folder / name) for name in TABLES]
    assert all(Path(file).is_file() for file in files)
    broken, duplicate = err.splitlines()
    place = path.with_name("broken.json").relative_to(study_folder)
    assert broken.startswith(f"note: {place} is left out: not valid JSON")
    assert duplicate.startswith("note: digits, resnet20, recipe smoke, test split: 1 record of a ")


def _stand_ins(monkeypatch: pytest.MonkeyPatch, **parts: Callable[[Results], list[Path]]) -> None:
    for name in command.PARTS:
        monkeypatch.setitem(command.PARTS, name, parts.get(name, lambda _, name=name: [Path(name)]))


def test_all_parts_in_order(
    study_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_ins(monkeypatch)
    assert main([str(study_folder)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["table", "figures", "claims", "html"]


def test_only_the_parts_asked_for(
    study_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_ins(monkeypatch)
    assert main([str(study_folder), "--only", "html", "figures"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["figures", "html"]


def test_one_part_that_cannot_be_written_does_not_stop_the_others(
    study_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Results) -> list[Path]:
        raise UserError("figures need more")

    _stand_ins(monkeypatch, figures=refuse)
    assert main([str(study_folder)]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[1:] == ["table", "claims", "html"]
    assert err == "rps_bench: error: figures need more\n"


def test_an_unknown_part_is_refused(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(study_folder), "--only", "tables"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rps_bench: error: argument --only: must be one of table, figures, ")
    assert error.endswith("got tables; did you mean table?\n")
    assert not (study_folder / "table.csv").exists()


def test_a_folder_without_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"rps_bench: error: no records under {tmp_path / 'records'}: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "example: python -m rps_bench.reports results --only table claims" in text
    assert "table, figures, claims, html" in text


def test_without_plotly_the_rest_is_written_and_one_line_tells_what_to_do(
    study_folder: Path,
) -> None:
    result = _run(
        "import sys; sys.modules['plotly'] = None\n"
        "from rps_bench.reports.__main__ import main\n"
        f"sys.exit(main([{str(study_folder)!r}, '--only', 'table', 'html']))"
    )
    assert result.returncode == 2
    assert all((study_folder / name).is_file() for name in TABLES)
    assert result.stderr.count("\n") == 1
    assert "pip install 'rps_bench[report]'" in result.stderr
    assert not (study_folder / "report.html").exists()


def test_a_table_needs_no_figures(study_folder: Path) -> None:
    result = _run(
        "import sys\n"
        "from rps_bench.reports.__main__ import main\n"
        f"status = main([{str(study_folder)!r}, '--only', 'table'])\n"
        "heavy = {'torch', 'matplotlib', 'plotly', 'scipy.stats'} & set(sys.modules)\n"
        "print(status, sorted(heavy))"
    )
    assert result.stdout.splitlines()[-1] == "0 []", result.stderr


def test_no_part_imports_torch_or_pyplot() -> None:
    result = _run(
        "import sys\n"
        "import rps_bench.reports.__main__, rps_bench.reports.figures\n"
        "import rps_bench.reports.claims, rps_bench.reports.html\n"
        "print(sorted({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_a_folder_with_broken_files_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "torn.json").write_text("{")
    assert main([str(tmp_path)]) == 2
    note, nothing = capsys.readouterr().err.splitlines()
    assert note.startswith("note: records/torn.json is left out: not valid JSON")
    assert nothing.startswith("rps_bench: error: no records under ")


def test_reports_keep_what_they_cannot_replace(
    small_disk: Disk, study_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(study_folder / "records", small_disk.folder / "records")
    parts = ("--only", "table", "claims", "html")
    assert main([str(small_disk.folder), *parts[:-1]]) == 0
    before = {path: path.read_bytes() for path in small_disk.folder.iterdir() if path.is_file()}
    capsys.readouterr()
    small_disk.fill()
    assert main([str(small_disk.folder), *parts]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "note:" not in line]
    names = ("table.csv", "claims.csv", "report.html")
    places = [f"{small_disk.folder / name}: No space left on device" for name in names]
    assert lines == [f"rps_bench: error: {place}" for place in places]
    small_disk.make_room()
    after = {path: path.read_bytes() for path in small_disk.folder.iterdir() if path.is_file()}
    assert after == before
