"""The installed package: the wheel carries its configuration and runs from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_carries_every_yaml_and_the_style(installed: Path) -> None:
    in_checkout = {path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")}
    in_wheel = {
        path.relative_to(installed / "rps_bench")
        for path in (installed / "rps_bench" / "conf").rglob("*.yaml")
    }
    assert in_wheel == in_checkout
    assert (installed / "rps_bench" / "reports" / "rps_bench.mplstyle").is_file()
    assert (installed / "rps_bench" / "engine" / "kernels.cpp").is_file()
    assets = Path("rps_bench/reports/html/assets")
    here = {path.name for path in (ROOT / assets).iterdir()}
    assert here == {path.name for path in (installed / assets).iterdir()}
    assert (installed / "hydra_plugins" / "rps_bench_slurm.py").is_file()
    assert not (installed / "tests").exists()


def test_the_installed_package_runs_in_another_folder(installed: Path, tmp_path: Path) -> None:
    """``-P`` and the path first: neither the checkout nor the working folder is looked at."""
    script = (
        "import rps_bench, sys; "
        f"assert rps_bench.__file__.startswith({str(installed)!r}), rps_bench.__file__; "
        "sys.argv = ['rps_bench', 'recipe=smoke', 'arch.width=2', 'compression=4']; "
        "from rps_bench.__main__ import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "completed: digits-resnet20-stable_rps-4x-smoke" in result.stdout
    assert len(list((tmp_path / "results" / "records").rglob("*.json"))) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
