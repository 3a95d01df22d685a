"""Files that are not what they should be are named and refused, or made again; never a crash."""

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method, load_compressed
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.read import read_facts
from rps_bench.methods.files.write import to_bytes
from rps_bench.methods.map_state import KEY
from rps_bench.models import build_model
from rps_bench.records import check_record
from rps_bench.reports.__main__ import main as report
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.figures.files import plan_figures
from rps_bench.reports.html.experiments import split_experiments
from rps_bench.reports.html.links import find_links
from rps_bench.reports.html.summary import render_summary
from rps_bench.sweep.estimate import estimate_seconds, read_timed_records
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.state import (
    EpochResult,
    Outcome,
    TrainingState,
    read_state,
    state_to_bytes,
)
from tests.conftest import Command
from tests.fuzzing.files import changed, changed_header, spoilt

GENTLY = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=25
)
RECORD = json.loads(
    next((Path(__file__).parents[1] / "reports" / "records").rglob("*mag-10x*s0-*")).read_text()
)
(CONFIG,) = plan_runs(["method=mag", "compression=10", "device=cpu"], is_sweep=False).configs
PLACE = Path("records") / "digits" / "resnet20"


@cache
def compressed(name: str) -> CompressedModel:
    model = build_model("resnet20", 10, 2, torch.Generator().manual_seed(0))
    probe = torch.zeros(2, 3, 8, 8), torch.arange(2)
    options = {"tile": 4} if name == "roast" else {}
    return build_method(name, 10, **options).compress(model, probe)


def load_bytes(data: bytes) -> None:
    """Load a compressed file and run it once, or refuse it with a line that names it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(data)
        for load in (read_facts, load_compressed):
            try:
                loaded = load(path)
            except UserError as error:
                if "model.safetensors" not in str(error):
                    raise AssertionError("the file is not named") from error
                continue
            if isinstance(loaded, CompressedModel):
                loaded.eval()(torch.zeros(2, 3, 8, 8))


@pytest.mark.parametrize("name", ["stable_rps", "roast", "mag", "kmeans"])
def test_a_spoilt_compressed_file(name: str) -> None:
    GENTLY(given(spoilt(to_bytes(compressed(name), "int8", {"run_id": "x"})))(load_bytes))()
    GENTLY(given(changed_header(to_bytes(compressed(name), facts={"a": 1})))(load_bytes))()


def test_a_spoilt_state() -> None:
    """It is refused by a ValueError, or fits the network it is checked against."""
    model = compressed("mag")
    outcome = Outcome([EpochResult(1, 0.1, 2.0, 2.0, 12.5, 0.25)], None, 0.25, 37)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    whole = state_to_bytes(TrainingState(5, tensors, {"stored": model.stored.detach()}, outcome))

    def read(data: bytes) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "state.safetensors"
            path.write_bytes(data)
            try:
                state = read_state(path)
                state.require_fit(model, range(10))
            except ValueError:
                return
            assert state.tensors.keys() == tensors.keys()
            assert state.step in range(10)
            for epoch in state.outcome.epochs:
                assert f"{epoch.epoch} {epoch.train_loss:.3f} {epoch.accuracy:.2f}"

    GENTLY(given(spoilt(whole))(read))()
    GENTLY(given(changed_header(whole))(read))()


@settings(GENTLY, max_examples=15, phases=[Phase.generate])
@given(record=changed(RECORD))
def test_a_changed_record_breaks_no_report(record: object) -> None:
    """Reports name it and leave it out, or show it; so does a plan."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / PLACE
        place.mkdir(parents=True)
        (place / "good.json").write_text(json.dumps(RECORD | {"run_id": "good"}))
        (place / "changed.json").write_text(json.dumps(record))
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            assert report([folder, "--only", "table", "claims"]) == 0
        study = read_results(folder)
        list(plan_figures(study))
        page = render_summary(split_experiments(study), find_links(study))
        estimate_seconds(CONFIG, 2.0, read_timed_records(folder))
        notes = err.getvalue().splitlines()
        assert all(line.startswith("note: ") for line in notes)
        try:
            check_record(record)
        except UserError:
            assert any("changed.json" in line for line in notes)
        assert "<script>" not in page
        assert "<img" not in page


CHECKPOINTED = ("method=mag", "recipe=smoke", "recipe.max_steps_per_epoch=2", "device=cpu")


@pytest.mark.parametrize(
    "what",
    ["another network", "no meaning", "another map", "a step beyond", "other momentum", "noise"],
)
def test_a_checkpoint_that_does_not_fit_is_made_again(
    what: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*CHECKPOINTED, "arch.width=2", "precision=fp32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rps_bench.run.write_record", interrupt)
        assert command(*words) == 130
    (path,) = (tmp_path / "results" / "checkpoints").rglob("*.partial.safetensors")
    state = read_state(path)
    other_map = compressed("stable_rps").get_extra_state()
    spoil = {
        "another network": lambda: replace(state, tensors={"stored": torch.zeros(3)}),
        "no meaning": lambda: replace(state, tensors=without(state.tensors, KEY)),
        "another map": lambda: replace(state, tensors=state.tensors | {KEY: other_map}),
        "a step beyond": lambda: replace(state, step=99),
        "other momentum": lambda: replace(state, momentum={"other": torch.zeros(1)}),
        "noise": None,
    }[what]
    path.write_bytes(b"\xff" * 100 if spoil is None else state_to_bytes(spoil()))
    assert command(*words) == 0
    out, err = capsys.readouterr()
    assert f"{path.relative_to(tmp_path)} cannot be used and is made again (" in out
    assert "Traceback" not in err


def without(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """What a version wrote that did not tell what theta stands for."""
    return {key: tensor for key, tensor in tensors.items() if key != name}


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
