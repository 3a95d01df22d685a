import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rps_bench.records import write_record

MakeRecord = Callable[..., dict[str, Any]]


def _report(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "rps_bench.reports", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_writes_and_says_where(tmp_path: Path, make_record: MakeRecord) -> None:
    folder = write_record(tmp_path, make_record()).parent
    (folder / "broken.json").write_text("{")
    result = _report(tmp_path)
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"skipped {folder / 'broken.json'}: not valid JSON")
    assert result.stdout.splitlines() == [
        f"{tmp_path / 'table.csv'}: 1 run",
        *(
            str(tmp_path / "plots" / f"pareto-cifar10-resnet20-quick{suffix}")
            for suffix in (".png", ".svg", "-true-compression.png", "-true-compression.svg")
        ),
    ]
    assert all(Path(line.split(": ")[0]).is_file() for line in result.stdout.splitlines())


def test_a_folder_without_records(tmp_path: Path) -> None:
    result = _report(tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"no records under {tmp_path / 'records'}: ")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_help_shows_an_example() -> None:
    result = _report("--help")
    assert result.returncode == 0
    assert "example: python -m rps_bench.reports results" in result.stdout


def test_reports_import_no_torch_and_no_pyplot() -> None:
    code = (
        "import sys, rps_bench.reports.__main__; "
        "print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout.strip()) == (0, "set()")
