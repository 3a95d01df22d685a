"""Compression after training from the command line: one dense training, equal budgets, any kill."""

import shutil
import signal
from pathlib import Path

import pytest

from rps_bench.launch.cleanup import discard_checkpoints
from rps_bench.methods import build_method, load_compressed
from rps_bench.methods.layout import layout_of
from rps_bench.models import build_model
from rps_bench.records import Record, read_records
from rps_bench.sweep.planning import plan_runs
from rps_bench.sweep.workload import Workload
from tests.conftest import Command
from tests.test_ltr import TINY, N, finish, same_part, start, train_all

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

AFTER = ("stable_rps_trained", "kmeans")
ALL = ("mag_trained", *AFTER)
WORDS = (*TINY, "compression=5", "engine=plain")
NUM_PRUNINGS = 8  # by fifths from N = 4350 to 870


def read(folder: Path) -> dict[str, Record]:
    records, problems = read_records(folder)
    assert not problems
    return {record["config"]["method"]: record for record in records}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All methods at 5x, with their files; made once."""
    folder = tmp_path_factory.mktemp("after")
    train_all(folder, *WORDS, f"method={','.join(ALL)}", "keep_model=true")
    return folder


def test_the_dense_network_is_trained_once(sweep: Path) -> None:
    folders = sorted(path.name for path in (sweep / "checkpoints").iterdir() if path.is_dir())
    assert sum("-dense-chain-" in name for name in folders) == 1
    firsts = [record["method_report"]["levels"][0] for record in read(sweep).values()]
    assert len(firsts) == len(ALL)
    assert all(first == firsts[0] for first in firsts)  # its seconds, too


def test_all_have_one_budget(sweep: Path) -> None:
    for method, record in read(sweep).items():
        costs = [record["cost"][key] for key in ("num_levels", "num_trainings", "total_epochs")]
        assert costs == [NUM_PRUNINGS, NUM_PRUNINGS + 1, 2 + NUM_PRUNINGS * 2], method


@pytest.mark.parametrize("method", ALL)
def test_the_record_tells_what_came_before_retraining(method: str, sweep: Path) -> None:
    """The dense network's file compressed by hand, evaluated on the digits."""
    from rps_bench.datasets import load_dataset
    from rps_bench.datasets.probe import probe_batch
    from rps_bench.training.evaluation import evaluate

    dataset = load_dataset("digits")
    (path,) = (sweep / "checkpoints").glob("*-dense-chain-*/level-00-*.safetensors")
    trained = load_compressed(path).to_dense()
    compressed = build_method(method, 5).compress(trained, probe_batch(dataset, 0))
    record = read(sweep)[method]
    found = evaluate(compressed, dataset, "fp32").accuracy
    assert record["metrics"]["test_accuracy_without_retraining"] == found
    size = record["size"]
    assert abs(size["stored_bytes_without_retraining"] - size["stored_bytes"]) < 100
    assert 0.5 * size["stored_bytes"] < size["stored_bytes_zstd"] < size["stored_bytes"]


def test_an_ordinary_training_has_nothing_before_it(command: Command, tmp_path: Path) -> None:
    assert command(*TINY, "method=ltr", "compression=1.5", "engine=plain") == 0
    (record,) = read(tmp_path / "results").values()
    assert "test_accuracy_without_retraining" not in record["metrics"]
    assert "stored_bytes_without_retraining" not in record["size"]


def test_rounding_forgets_what_was_not_rounded(
    sweep: Path, command: Command, tmp_path: Path
) -> None:
    words = (*WORDS, f"method={AFTER[0]}", f"results_dir={sweep}", "keep_model=true")
    assert command(*words, "storage=int8") == 0
    records, _ = read_records(sweep)
    (rounded,) = (r for r in records if r["config"]["storage"] == "int8")
    Path(sweep, "records/digits/resnet20", f"{rounded['run_id']}.json").unlink()
    assert "test_accuracy_without_retraining" not in rounded["metrics"]
    assert "stored_bytes_without_retraining" not in rounded["size"]
    assert rounded["size"]["stored_bytes_zstd"] < 0.5 * rounded["size"]["dense_weights"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("method", AFTER)
def test_killed_again_and_again_it_gives_the_same_record_and_file(
    method: str, sweep: Path, tmp_path: Path
) -> None:
    """Each process dies amid a later write; the last one ends."""
    words = (*WORDS, f"method={method}", "keep_model=true")
    for number in (2, 5, 7, 6, 4):
        process = start(tmp_path / "log", tmp_path, *words, deadly=number)
        finish(process, exitcode=-signal.SIGKILL)
    finish(start(tmp_path / "log", tmp_path, *words))
    assert same_part(read(tmp_path)[method]) == same_part(read(sweep)[method])
    (mine,) = (tmp_path / "models").rglob("*.safetensors")
    assert mine.read_bytes() == (sweep / mine.relative_to(tmp_path)).read_bytes()


def test_the_plan_counts_the_dense_training_once() -> None:
    words = (*WORDS, f"method={','.join(ALL)}")
    workload = Workload([])
    epochs = [workload.add(config) for config in plan_runs(words, is_sweep=True).configs]
    later = NUM_PRUNINGS * 2
    assert epochs == pytest.approx([2 + later] + [later] * len(AFTER))


def test_levels_go_once_nothing_planned_needs_them(sweep: Path, tmp_path: Path) -> None:
    """The dense level stays while another method's run is left, and for commands without it."""
    shutil.copytree(sweep, tmp_path / "copy")
    folder = tmp_path / "copy" / "checkpoints"
    words = (*WORDS, f"method={','.join(ALL)}", f"results_dir={tmp_path / 'copy'}")
    configs = plan_runs(words, is_sweep=True).configs
    record = tmp_path / "copy/records/digits/resnet20" / f"{configs[-1].run_id}.json"
    kept = record.read_text()
    record.unlink()
    discard_checkpoints(configs)
    left = {path.name.split("-")[2] for path in folder.iterdir() if path.is_dir()}
    assert left == {"dense", configs[-1].method}
    record.write_text(kept)
    discard_checkpoints([c for c in configs if c.method == "no such"])
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2
    discard_checkpoints(configs)
    assert not [path for path in folder.iterdir() if path.is_dir()]


@pytest.mark.parametrize("method", AFTER)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("method.retrainings=0", "method.retrainings must be null or a whole number from 1 up"),
        ("method.retrainings=1.5", "method.retrainings must be null or a whole number from 1 up"),
        ("method.rewind_steps=-1", "method.rewind_steps must be null or a whole number from 0 up"),
        ("method.rewind_steps=6", "must be from 0 to 5, as this training has"),
        ("method.level_fraction=0.5", "unknown key method.level_fraction"),
    ],
)
def test_bad_words(
    method: str, words: str, message: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*TINY, f"method={method}", "compression=5", words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("method", AFTER)
def test_levels_are_as_many_as_asked_for(method: str) -> None:
    layout = layout_of(build_model("resnet20", 10, 2))
    levels = build_method(method, 5, retrainings=2).levels(layout)
    assert [level.number for level in levels] == [0, 1, 2]
    assert [level.is_shared for level in levels] == [True, True, False]
    assert levels[0].num_kept == N
    assert levels[1].num_kept == levels[2].num_kept < N
    prunings = len(build_method("mag_trained", 5).levels(layout)) - 1
    assert len(build_method(method, 5).levels(layout)) - 1 == prunings == NUM_PRUNINGS
