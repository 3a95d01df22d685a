"""A plain file's method, network and dataset: swept, recorded, reported, kept and read back."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from rps_bench import load_plugins
from rps_bench.core.errors import UserError
from rps_bench.export import main as export
from rps_bench.methods import build_method, load_compressed
from rps_bench.models import build_model
from rps_bench.plan import main as plan
from rps_bench.records import read_records
from rps_bench.reports.__main__ import main as report
from rps_bench.sweep.planning import plan_runs
from tests.conftest import Command
from tests.plugins.conftest import TINY, forget_plugins

OWN_ID = "digits-resnet20-stable_rps-10x-quick-s0-d9b828cf"  # of tests/test_config.py


def configs_of(results: Path) -> list[dict[str, Any]]:
    records, problems = read_records(results)
    assert not problems
    assert {record["status"] for record in records} == {"completed"}
    return [record["config"] for record in records]


def test_a_sweep_over_plugins_and_own(
    command: Command, my_methods: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        *("plugins=[my_methods.py]", "dataset=stripes", "arch=shallow", "keep_model=true"),
        *("method=power,modulo,mag", "compression=1,4", *TINY),
    )
    assert plan(["-m", *words]) == 0
    assert "6 runs: 6 new" in capsys.readouterr().out
    assert command("-m", *words) == 0
    found = configs_of(tmp_path / "results")
    assert len(found) == 6
    sha256 = hashlib.sha256(my_methods.read_bytes()).hexdigest()
    origin = {"name": "my_methods.py", "kind": "file", "sha256": sha256}
    for config in found:
        own = {"method"} if config["method"] == "mag" else set()
        assert config["plugins"] == dict.fromkeys({"method", "arch", "dataset"} - own, origin)
        assert str(tmp_path) not in json.dumps(config)
    assert command("-m", *words) == 0
    assert capsys.readouterr().out.count("already recorded") == 6


def test_smaller_images_of_a_dataset_of_ones_own(
    command: Command, my_methods: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plugins=[my_methods.py]", "dataset=stripes", "method=mag", *TINY)
    assert command("-m", *words, "arch=shallow", "dataset.image_size=null,4,8") == 0
    sizes = [config["dataset_options"]["image_size"] for config in configs_of(tmp_path / "results")]
    assert sorted(sizes, key=str) == [4, None]  # 8 is its own
    capsys.readouterr()
    for arch, size, line in (
        ("shallow", "3", "must be null or one of 1, 2, 4, 8 for stripes, got 3"),
        ("vgg11", "null", "vgg11 needs images of 16x16 .* those of stripes are 8x8; no size of it"),
    ):
        assert command(*words, f"arch={arch}", f"dataset.image_size={size}") == 2
        assert re.search(line, capsys.readouterr().err)


def test_a_run_without_plugins_keeps_its_id(my_methods: Path) -> None:
    (own,) = plan_runs([f"plugins=[{my_methods}]", "engine=plain"], is_sweep=False).configs
    assert own.run_id == OWN_ID
    assert not own.plugins


def test_the_id_follows_the_content_and_neither_name_nor_place(
    my_methods: Path, tmp_path: Path
) -> None:
    def run_id(path: Path) -> str:
        words = [f"plugins=[{path}]", "method=power"]
        return plan_runs(words, is_sweep=False).configs[0].run_id

    first = run_id(my_methods)
    assert run_id(my_methods) == first
    (tmp_path / "elsewhere").mkdir()
    moved = my_methods.rename(tmp_path / "elsewhere" / "renamed.py")
    with pytest.raises(UserError, match=r"the kind 'modulo' of .* is that of .* already"):
        run_id(moved)
    moved.rename(my_methods)
    my_methods.write_text(my_methods.read_text().replace("** self.exponent", "* self.exponent"))
    assert run_id(my_methods) != first


def test_the_id_follows_a_file_that_is_imported_from_beside(tmp_path: Path) -> None:
    main, beside = tmp_path / "main.py", tmp_path / "numbers_of_mine.py"
    main.write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "from numbers_of_mine import HALF\n"
        "from rps_bench.methods.pruning.magnitude import Magnitude\n"
        "@dataclass(frozen=True)\nclass Half(Magnitude):\n"
        "    name: ClassVar[str] = 'half'\n    share: float = HALF\n"
        "METHODS = {'half': Half}\n"
    )
    beside.write_text("HALF = 0.5\n")

    def planned() -> tuple[str, object]:
        (config,) = plan_runs([f"plugins=[{main}]", "method=half"], is_sweep=False).configs
        return config.run_id, config.method_options["share"]

    first = planned()
    assert first[1] == 0.5
    beside.write_text("HALF = 0.25\n")
    assert planned()[0] != first[0]
    assert planned()[1] == 0.25


def test_options_sweep_and_are_checked_by_their_annotation(my_methods: Path) -> None:
    words = [f"plugins=[{my_methods}]", "method=power", "method.exponent=1,2,3"]
    runs = plan_runs(words, is_sweep=True).configs
    assert [config.label for config in runs] == [
        "power (exponent=1.0)",
        "power",
        "power (exponent=3.0)",
    ]
    for word, line in {
        "method.exponent=much": "method.exponent must be a finite number, got much",
        "method.offset=1.5": "method.offset must be a whole number or null, got 1.5",
        "method.offset=true": "method.offset must be a whole number or null, got true",
        "method.foo=1": "unknown key method.foo; allowed: method.name, method.include, "
        "method.exclude, method.min_size, method.rounds, method.shuffle, method.reinit, "
        "method.exponent, method.offset",
    }.items():
        with pytest.raises(UserError, match=line):
            plan_runs([*words[:2], word], is_sweep=False)


@pytest.mark.slow
def test_reports_draw_the_curves(command: Command, my_methods: Path, tmp_path: Path) -> None:
    words = ("plugins=[my_methods.py]", "method=power,modulo,mag,dense", "arch.width=2", *TINY)
    assert command("-m", *words, "compression=1,4", "dataset=digits") == 0
    assert report([str(tmp_path / "results")]) == 0
    summary = (tmp_path / "results" / "summary.csv").read_text()
    assert "power" in summary
    assert "modulo" in summary
    assert list((tmp_path / "results" / "plots").glob("pareto-digits-resnet20-smoke.svg"))


def test_kept_files_are_read_back_once_the_plugin_is_loaded(
    command: Command, my_methods: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plugins=[my_methods.py]", "dataset=stripes", "arch=shallow", "method=modulo", *TINY)
    assert command(*words, "compression=2", "keep_model=true") == 0
    (path,) = (tmp_path / "results" / "models").rglob("*.safetensors")
    assert str(tmp_path).encode() not in path.read_bytes()
    wanted = load_compressed(path)
    assert wanted.weight_map.kind == "modulo"
    assert export([f"run_id={path.stem}", "format=dense", "plugins=[my_methods.py]"]) == 0


def test_a_file_names_the_plugin_that_it_needs(my_methods: Path, tmp_path: Path) -> None:
    load_plugins([str(my_methods)])
    probe = torch.randn(4, 3, 8, 8), torch.arange(4) % 2
    model = build_model("shallow", 2, generator=torch.Generator().manual_seed(0))
    compressed = build_method("modulo", 2).compress(model, probe)
    compressed.save(tmp_path / "whole.safetensors")
    build_method("mag", 2).compress(model, probe).save(tmp_path / "network.safetensors")
    own = build_model("resnet20", 2, 2)
    build_method("modulo", 2).compress(own, probe).save(tmp_path / "map.safetensors")
    logits = compressed.eval()(probe[0])
    assert torch.equal(load_compressed(tmp_path / "whole.safetensors").eval()(probe[0]), logits)
    forget_plugins()
    for name, what in {
        "whole": "network shallow",
        "network": "network shallow",
        "map": "sharing map modulo",
    }.items():
        line = rf"{name}.safetensors: it needs the {what} of the plugin my_methods.py: load that"
        with pytest.raises(UserError, match=line):
            load_compressed(tmp_path / f"{name}.safetensors")
    load_plugins([str(my_methods)])
    assert torch.equal(load_compressed(tmp_path / "whole.safetensors").eval()(probe[0]), logits)
