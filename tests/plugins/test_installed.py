"""Installed packages: their names are known from metadata, their code is imported when chosen."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.conftest import MY_METHODS, TINY

ENTRY_POINTS = """
[rps_bench.methods]
power = their_methods:Power
modulo = their_methods:Modulo

[rps_bench.archs]
shallow = their_methods:Shallow

[rps_bench.datasets]
stripes = their_methods:DATASETS.stripes
"""


class Site:
    """A folder of installed packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, version: str, entry_points: str) -> Path:
        info = self.folder / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)
        return info

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Python with these words, in the folder above, where the packages are installed."""
        root = Path(__file__).parents[2]
        paths = os.pathsep.join((str(self.folder), str(root)))
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder.parent,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    stripes = "\n\nclass DATASETS:\n    stripes = DATASETS_['stripes']\n"
    code = MY_METHODS.read_text().replace("DATASETS = {", "DATASETS_ = {")
    (folder / "their_methods.py").write_text(code + stripes)
    return Site(folder)


def test_a_plan_imports_only_what_is_chosen(site: Site) -> None:
    site.install("their-package", "1.2", ENTRY_POINTS)
    code = (
        "import sys; from rps_bench.sweep.planning import plan_runs\n"
        "def loaded(*words):\n"
        "    (config,) = plan_runs(words, False).configs\n"
        "    print(config.run_id, sorted({'torch', 'their_methods'} & set(sys.modules)))\n"
        "loaded('method=mag'); loaded('method=power')\n"
    )
    result = site.run("-c", code)
    own, theirs = result.stdout.splitlines()
    assert own == "digits-resnet20-mag-10x-quick-s0-" + own[33:41] + " []", result.stderr
    assert theirs.endswith("['their_methods', 'torch']")


def test_a_run_records_the_package_and_its_version(site: Site) -> None:
    info = site.install("their-package", "1.2", ENTRY_POINTS)
    words = ("-m", "rps_bench", "method=power", "dataset=stripes", "arch=shallow", *TINY)
    result = site.run(*words, "compression=2")
    assert result.returncode == 0, result.stderr
    (path,) = (site.folder.parent / "results" / "records").rglob("*.json")
    config = json.loads(path.read_text())["config"]
    origin = {"name": "their-package", "kind": "package", "version": "1.2"}
    assert config["plugins"] == dict.fromkeys(("method", "arch", "dataset"), origin)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.3\n")
    assert site.run(*words, "compression=2").returncode == 0
    assert len(list((site.folder.parent / "results" / "records").rglob("*.json"))) == 2


def test_the_version_of_a_package_that_is_edited_in_place_says_too_little(site: Site) -> None:
    info = site.install("their-package", "1.2", ENTRY_POINTS)
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    code = (
        "from rps_bench.sweep.planning import plan_runs\n"
        "print(plan_runs(['method=power'], False).configs[0].run_id)\n"
    )
    first = site.run("-c", code)
    with (site.folder / "their_methods.py").open("a") as file:
        file.write("# changed\n")
    assert first.returncode == 0, first.stderr
    assert site.run("-c", code).stdout != first.stdout


REFUSED = {
    "own": (
        "mag = their_methods:Power",
        "plugin their-package: the method mag is one of rps_bench",
    ),
    "missing": ("power = no_such_module:Power", "method power cannot be imported .ModuleNotFound"),
    "absent": ("power = their_methods:Nothing", "method power cannot be imported .AttributeError"),
    "broken": ("other = their_methods:Power", "method other needs name: ClassVar.str. = 'other'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_an_installed_package_may_not_offer(site: Site, case: str) -> None:
    point, line = REFUSED[case]
    site.install("their-package", "1.2", f"[rps_bench.methods]\n{point}\n")
    result = site.run("-m", "rps_bench.plan", f"method={point.partition(' ')[0]}")
    assert result.returncode == 2
    (shown,) = result.stderr.splitlines()
    assert re.search(line, shown), shown


def test_two_packages_may_not_offer_one_name(site: Site) -> None:
    site.install("their-package", "1.2", ENTRY_POINTS)
    site.install("another", "3", "[rps_bench.methods]\npower = another:Power\n")
    result = site.run("-m", "rps_bench.plan", "method=power")
    assert result.returncode == 2
    line = "rps_bench: error: the plugins another and their-package both offer a method power"
    assert result.stderr.strip() == line


def test_a_name_that_is_nearly_one_of_theirs(site: Site) -> None:
    site.install("their-package", "1.2", ENTRY_POINTS)
    result = site.run("-m", "rps_bench.plan", "method=pover")
    assert result.returncode == 2
    assert "modulo, power, rand" in result.stderr
    assert "did you mean power?" in result.stderr
