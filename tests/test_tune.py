"""The command that tunes: trials are records, choices are theirs; test images choose nothing."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rps_bench import tune
from rps_bench.methods import build_method
from rps_bench.records import Record, read_records
from rps_bench.sweep.planning import plan_runs
from rps_bench.tuning.choices import read_choices, save_choices
from tests.conftest import Command
from tests.patience import PATIENCE_SECONDS, wait_until
from tests.plugins.conftest import forget_plugins

ROOT = Path(__file__).resolve().parents[1]
# Its test images can be made garbage, which whoever chose by them would choose by.
PLUGIN = """
import os
from dataclasses import replace
from tests.plugins.my_methods import ARCHITECTURES, DATASETS, load_stripes

def load(root):
    splits = load_stripes(root)
    if "GARBAGE" in os.environ:
        images, labels = splits["test"]
        splits["test"] = images * 0, 1 - labels
    return splits

DATASETS = {"stripes": replace(DATASETS["stripes"], load=load)}
"""

# Milliseconds a run: 64 images of 8 x 8, one convolution.
TINY = (
    *("plugins=[images.py]", "dataset=stripes", "arch=shallow", "recipe=smoke", "device=cpu"),
    *("dataset.validation_images=24", "precision=fp32", "recipe.batch_size=8"),
)
SWEEP = (*TINY, "method=mag,rand", "compression=2,4")

Tune = Callable[..., int]


@pytest.fixture
def tuned(command: Command, tmp_path: Path) -> Iterator[Tune]:
    """``python -m rps_bench.tune WORDS`` in this process, in an empty folder; gives the status."""
    (tmp_path / "images.py").write_text(PLUGIN)
    yield lambda *words: tune.main(words)
    forget_plugins()


def choices(folder: str | Path = "results") -> dict[str, Any]:
    table: dict[str, Any] = json.loads((Path(folder) / "choices.json").read_text())["choices"]
    return table


def records(folder: str | Path = "results") -> tuple[Record, ...]:
    found, problems = read_records(folder)
    assert not problems
    return found


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """The command in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "rps_bench.tune", *words]
    out = subprocess.PIPE
    return subprocess.Popen(line, cwd=folder, env=environment, text=True, stdout=out, stderr=out)


def test_trials_are_records_of_the_validation_split(
    tuned: Tune, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned(*SWEEP, "seed=3,4") == 0
    found = {record["run_id"]: record for record in records()}
    assert len(found) == 4 * 5
    for record in found.values():
        assert record["config"]["evaluation_split"] == "validation"
        assert record["config"]["protocol"] == "fixed"
        assert record["config"]["seed"] == 3
        assert record["metrics"]["test_accuracy"] is None
    for choice in choices().values():
        trials = choice["trials"]
        assert len(trials) == 5
        for trial in trials:
            own = found.pop(trial["run_id"])
            assert own["config"]["recipe_options"]["lr"] == trial["learning_rate"]
            assert own["metrics"]["validation_accuracy"] == trial["validation_accuracy"]
        best = max(trials, key=lambda t: (t["validation_accuracy"] or -1.0, -t["learning_rate"]))
        assert choice["learning_rate"] == best["learning_rate"]
        assert choice["validation_accuracy"] == best["validation_accuracy"]
    assert not found
    text = (Path("results") / "choices.json").read_text()
    capsys.readouterr()
    assert tuned(*SWEEP, "seed=3,4") == 0  # nothing is left to train
    assert "completed:" not in capsys.readouterr().out
    assert (Path("results") / "choices.json").read_text() == text


@pytest.mark.slow
def test_test_images_choose_nothing(
    tuned: Tune, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuned(*SWEEP) == 0
    assert command(*TINY, "method=mag", "compression=2") == 0
    monkeypatch.setenv("GARBAGE", "yes")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))  # decoded images are kept there
    assert tuned(*SWEEP, "results_dir=garbage") == 0
    assert choices("garbage") == choices()
    assert command(*TINY, "method=mag", "compression=2", "results_dir=garbage") == 0
    on_test = [
        record["metrics"]["test_accuracy"]
        for folder in ("results", "garbage")
        for record in records(folder)
        if record["config"]["evaluation_split"] == "test"
    ]
    assert on_test[0] != on_test[1]  # the garbage is seen where test images are


def test_other_cells_keep_their_choices(tuned: Tune) -> None:
    assert tuned(*TINY, "method=mag", "compression=2", "tune.trials=3") == 0
    (before,) = choices().items()
    assert tuned(*TINY, "method=rand", "compression=2", "tune.trials=4") == 0
    assert list(choices()) == sorted(choices())
    assert choices()[before[0]] == before[1]
    assert sorted(len(choice["trials"]) for choice in choices().values()) == [3, 4]
    assert tuned(*TINY, "method=mag", "compression=2", "tune.trials=4", "tune.seed=7") == 0
    assert choices()[before[0]]["seed"] == 7
    assert len(choices()) == 2


CELLS = [
    ("compression=2", "compression=4", False),
    ("seed=0", "seed=1", True),
    ("recipe.lr=0.1", "recipe.lr=0.2", True),
    ("evaluation_split=test", "evaluation_split=validation", True),
    ("storage=exact", "storage=int8", True),
    ("results_dir=a", "results_dir=b", True),
    ("tune.trials=3", "tune.trials=4", True),
    ("device=auto", "device=cpu", True),
    ("recipe.epochs=2", "recipe.epochs=1", False),
    ("method.rounds=1", "method.rounds=2", False),
    ("arch.width=8", "arch.width=4", False),
    ("precision=auto", "precision=fp32", False),
    ("engine=plain", "engine=products", False),
    ("dataset.validation_images=144", "dataset.validation_images=100", False),
    ("dataset.imbalance=null", "dataset.imbalance=10", False),
    ("dataset.imbalance=100", "dataset.imbalance=10", False),
]


@pytest.mark.parametrize(("one", "other", "is_same"), CELLS)
def test_what_a_cell_is(one: str, other: str, is_same: bool) -> None:
    (first,), (second,) = (
        plan_runs(["method=mag", word], is_sweep=False).configs for word in (one, other)
    )
    assert (first.cell_id == second.cell_id) == is_same
    assert (first.cell == second.cell) == is_same


def test_a_tuned_sweep_has_the_rates_of_its_cells(
    tuned: Tune, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned(*SWEEP) == 0
    words = ("-m", *SWEEP, "protocol=tuned", "seed=0,5", "storage=exact,int8")
    assert command(*words) == 0
    own = [record for record in records() if record["config"]["protocol"] == "tuned"]
    assert len(own) == 2 * 2 * 2 * 2
    by_name = {
        (choice["cell"]["method"], choice["cell"]["compression"]): choice
        for choice in choices().values()
    }
    assert len({choice["learning_rate"] for choice in by_name.values()}) > 1
    for record in own:
        config = record["config"]
        choice = by_name[config["method"], config["compression"]]
        assert config["recipe_options"]["lr"] == choice["learning_rate"]
        assert config["tuning"] == {
            "num_trials": 5,
            "seed": 0,
            "start": 0.1,
            "edge": choice["edge"],
            "validation_accuracy": choice["validation_accuracy"],
        }
        assert config["evaluation_split"] == "test"
        assert record["metrics"]["test_accuracy"] is not None
        assert "-tuned-s" in record["run_id"]
    capsys.readouterr()
    assert command(*words) == 0
    assert capsys.readouterr().out.count("already recorded") == 16
    assert command(*TINY, "method=mag", "compression=2", "seed=5") == 0  # a run of its own
    assert "already recorded" not in capsys.readouterr().out


def test_each_imbalance_has_a_choice_of_its_own(tuned: Tune, command: Command) -> None:
    """64 images of two classes: 12 of each are held out, and 20 and 5 of the others stay."""
    words = (*TINY, "method=mag", "compression=2", "dataset.imbalance=null,4")
    assert tuned(*words, "tune.trials=3") == 0
    by_ratio = {choice["cell"].get("imbalance"): choice for choice in choices().values()}
    assert set(by_ratio) == {None, 4.0}
    assert ["-imbalance4-" in name for name in choices()] == [False, True]
    for record in records():
        if record["config"]["dataset_options"]["imbalance"] is None:
            continue
        classes = record["classes"]
        assert classes["num_train"] == [20, 5]
        assert classes["num_evaluated"] == [12, 12]
        shares = [100 * hits / 12 for hits in classes["num_correct"]]
        assert record["metrics"]["validation_accuracy"] == pytest.approx(sum(shares) / 2)
    saved = read_choices(Path("results") / "choices.json")
    known = {
        name: replace(choice, learning_rate=0.25 if "imbalance" in choice.cell else 0.5)
        for name, choice in saved.items()
    }
    save_choices(Path("results") / "choices.json", known)
    assert command("-m", *words, "protocol=tuned") == 0
    rates = {
        record["config"]["dataset_options"]["imbalance"]: record["config"]["recipe_options"]["lr"]
        for record in records()
        if record["config"]["protocol"] == "tuned"
    }
    assert rates == {None: 0.5, 4.0: 0.25}


def test_other_settings_are_chosen_with_the_rate(tuned: Tune, command: Command) -> None:
    """Each combination has a search of its own, and the best of all of them is what runs take."""
    words = (*TINY, "method=mag,stable_rps", "compression=2", "tune.trials=3")
    assert tuned(*words) == 0
    lone = {choice["cell"]["method"]: choice for choice in choices().values()}
    over = "tune.over={weight_decay:[0.3,1e-4],nesterov:[true,false]}"
    assert tuned(*words, over) == 0
    assert len(records()) == 2 * 4 * 3  # those at the recipe's own settings are the earlier ones
    both = [choice for choice in choices().values() if choice["settings"]]
    assert len(both) == 2
    assert len(choices()) == 4
    by_id = {record["run_id"]: record for record in records()}
    for choice in both:
        assert len(choice["trials"]) == 4 * 3
        for trial in choice["trials"]:
            options = by_id[trial["run_id"]]["config"]["recipe_options"]
            assert {name: options[name] for name in trial["settings"]} == trial["settings"]
            assert options["lr"] == trial["learning_rate"]
        best = max(trial["validation_accuracy"] or -1.0 for trial in choice["trials"])
        assert choice["validation_accuracy"] == best
        assert best >= lone[choice["cell"]["method"]]["validation_accuracy"]
    assert command("-m", *words, over, "protocol=tuned", "seed=0,1") == 0
    ran = [record for record in records() if record["config"]["protocol"] == "tuned"]
    assert len(ran) == 4
    for record in ran:
        own = next(c for c in both if c["cell"]["method"] == record["config"]["method"])
        chosen = own["settings"] | {"lr": own["learning_rate"]}
        assert chosen.items() <= record["config"]["recipe_options"].items()
        assert record["config"]["tuning"]["settings"] == own["settings"]
        assert record["config"]["tuning"]["num_trials"] == 12


def test_trials_that_diverge_are_the_worst(tuned: Tune, command: Command) -> None:
    words = (*TINY, "method=mag", "compression=2", "recipe.lr=1e30")
    assert tuned(*words) == 0
    (choice,) = choices().values()
    assert choice["validation_accuracy"] is None
    assert choice["edge"] == "lowest"
    rates = [trial["learning_rate"] for trial in choice["trials"]]
    assert rates == [3.162e28, 1e29, 3.162e29, 1e30, 3.162e30][: len(rates)]
    assert choice["learning_rate"] == 3.162e28
    assert {record["status"] for record in records()} == {"diverged"}
    assert command(*words, "protocol=tuned") == 0


def test_a_trial_that_fails_leaves_its_cell_open(
    tuned: Tune, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(method: str, *arguments: Any, **options: Any) -> Any:
        if method == "rand":
            raise RuntimeError("it broke")
        return build_method(method, *arguments, **options)

    monkeypatch.setattr("rps_bench.run.build_method", fail)
    assert tuned(*TINY, "method=mag,rand", "compression=2") == 1
    assert "not chosen, as this trial was not recorded: stripes-shallow-rand" in (
        capsys.readouterr().out
    )
    assert [choice["cell"]["method"] for choice in choices().values()] == ["mag"]


# Words of a tuned run after mag at 2x was tuned from 0.1; the file of choices; what is said.
REFUSED = [
    (("protocol=best",), None, "protocol must be one of fixed, tuned"),
    ((), "", "has no learning rate for stripes-shallow-mag-2x-smoke-"),
    (("compression=8",), None, "has no learning rate for stripes-shallow-mag-8x-smoke-"),
    (("compression=2,8,16",), None, "8x-smoke-{} and 1 more; python -m rps_bench.tune "),
    (("tune.choices=other.json",), None, "other.json has no learning rate for"),
    (("recipe.lr=0.2",), None, "searched from recipe.lr=0.1 for"),
    (("evaluation_split=validation",), None, "protocol=tuned needs evaluation_split=test"),
    (("dataset.imbalance=10",), None, "for stripes-shallow-mag-2x-smoke-imbalance10-"),
    (("tune.trials=2",), None, "tune.trials must be a whole number from 3 to 20, got 2"),
    (("tune.seed=-1",), None, "tune.seed must be null or a whole number from 0"),
    (("tune=5",), None, "tune must be a table of trials, seed, choices, over, got 5"),
    (("+tune.beyond=lr",), None, "unknown key tune.beyond"),
    (("tune.over={weight_decay:[1e-4,5e-4]}",), None, "has no learning rate for stripes-shallow"),
    ((), '{"version": 1, "choices": {"a": {"settings": {"epochs": 9}}}}', "holds no choices"),
    ((), "{", "choices.json holds no choices"),
    ((), "[]", "choices.json holds no choices"),
    ((), '{"version": 2, "choices": {}}', "version 2, this one reads 1"),
    ((), '{"version": 1, "choices": {"a": {"learning_rate": 1}}}', "holds no choices"),
    ((), '{"version": 1, "choices": {"a": 1}}', "holds no choices"),
    ((), "[" * 10_000, "holds no choices"),
]


@pytest.fixture(scope="module")
def choice_of_mag(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of choices of mag at 2x."""
    folder = tmp_path_factory.mktemp("mag")
    (folder / "images.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert tune.main([*TINY, "method=mag", "compression=2", "tune.trials=3"]) == 0
    forget_plugins()
    return (folder / "results" / "choices.json").read_text()


@pytest.mark.parametrize(("words", "text", "said"), REFUSED)
def test_bad_input_is_one_line_before_anything_is_trained(
    words: tuple[str, ...],
    text: str | None,
    said: str,
    choice_of_mag: str,
    tuned: Tune,
    command: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = Path("results/choices.json")
    path.parent.mkdir()
    if text != "":
        path.write_text(choice_of_mag if text is None else text)
    assert command("-m", *TINY, "method=mag", "compression=2", "protocol=tuned", *words) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    first, _, second = said.partition("{}")
    assert first in line
    assert second in line
    assert not records()


def test_the_command_that_is_named_tunes(
    tuned: Tune, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("-m", *SWEEP, "seed=1,2", "protocol=tuned", "tune.trials=3") == 2
    line = capsys.readouterr().err
    named = line[line.index("python -m rps_bench.tune ") : line.index(" chooses")]
    assert tuned(*shlex.split(named)[3:]) == 0
    assert command("-m", *SWEEP, "seed=1,2", "protocol=tuned", "tune.trials=3") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recipe.lr=0.1,0.2",), "begins with one value for stripes-shallow-mag-2x-smoke-"),
        (("tune.trials=3,4",), "tune.trials=3,4 is for all cells and has one value"),
        (("tune.trials=21",), "from 3 to 20, got 21"),
        (("recipe.lr=1e308",), "leaves the numbers that there are"),
        (("tune.over=weight_decay",), "tune.over must be null or a table such as"),
        (("tune.over={epochs:[3,9]}",), "unknown key tune.over.epochs; allowed: tune.over.moment"),
        (("tune.over={weight_decay:1e-4}",), "tune.over.weight_decay must be a list of values"),
        (("tune.over={weight_decay:[]}",), "tune.over.weight_decay must be a list of values"),
        (("tune.over={weight_decay:[1e-4,-1]}",), "recipe.weight_decay must be a number >= 0"),
        (("tune.over={weight_decay:[1e-3,5e-4]}",), "must have the recipe's own value 0.0001 am"),
        (("tune.over={nesterov:[true,1]}",), "recipe.nesterov must be true or false, got 1"),
        (
            ("tune.over={momentum:[0.9,0],nesterov:[false,true]}",),
            "tune.over tries {momentum: 0.0, nesterov: true}: recipe.nesterov=true needs",
        ),
        (("compression=1e9",), "the largest for this network is"),
    ],
)
def test_a_search_that_makes_no_sense_is_one_line(
    words: tuple[str, ...], said: str, tuned: Tune, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned(*TINY, "method=mag", "compression=2", *words) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not records()


def test_a_rate_beyond_all_numbers_is_refused_before_the_search_is_announced(
    tuned: Tune, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned(*TINY, "method=mag", "compression=2", "recipe.lr=1e308") == 2
    assert not capsys.readouterr().out


def test_a_search_that_is_killed_goes_on_to_the_same_choices(tuned: Tune, tmp_path: Path) -> None:
    words = (*TINY, "method=mag", "compression=2,4", "recipe.epochs=9")
    process = start(tmp_path, *words, "results_dir=killed")
    wait_until(lambda: len(records("killed")) >= 2, "two trials")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert not Path("killed/choices.json").exists()
    assert tuned(*words, "results_dir=killed") == 0
    assert tuned(*words) == 0
    assert choices("killed") == choices()


@pytest.mark.slow
def test_two_processes_share_the_trials(tuned: Tune, tmp_path: Path) -> None:
    processes = [start(tmp_path, *SWEEP, "results_dir=both") for _ in range(2)]
    outputs = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum(out.count("completed: ") for out, _ in outputs) == 4 * 5
    assert tuned(*SWEEP) == 0
    assert choices("both") == choices()


def test_choices_merge_beside_each_other(tuned: Tune, tmp_path: Path) -> None:
    assert tuned(*SWEEP, "tune.trials=3") == 0
    found = read_choices(tmp_path / "results" / "choices.json")
    path = tmp_path / "new" / "choices.json"
    for cell_id, choice in list(found.items())[::-1]:
        save_choices(path, {cell_id: choice})
    assert path.read_bytes() == (tmp_path / "results" / "choices.json").read_bytes()
    assert read_choices(path) == found
