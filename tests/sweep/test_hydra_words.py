"""What Hydra's grammar and flags do here: the runs that they give, or one line.

The tables hold for every version of Hydra that is allowed; run them with each that is new.
"""

import fnmatch
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import hydra
import pytest

from rps_bench.config import RunConfig
from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import UserError
from rps_bench.datasets import DATASETS
from rps_bench.methods import METHODS
from rps_bench.models import ARCHITECTURES
from rps_bench.records import read_records
from rps_bench.sweep.command_line import parse_words
from rps_bench.sweep.planning import Plan, plan_runs
from tests.conftest import Command

IS_HYDRA_13 = hydra.__version__.startswith("1.3.")

OWN = "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 3,4\n"
TWO = (
    "# @package _global_\ndefaults:\n  - override /method: mag\n"
    "hydra:\n  sweeper:\n    params:\n      compression: 2,4\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder but for ``mine``, which holds yaml files of a user's own."""
    monkeypatch.chdir(tmp_path)
    files = {
        "experiment/own.yaml": OWN,
        "experiment/two.yaml": TWO,
        "experiment/three.yaml": OWN.replace("hydra:", "hydra:\n  launcher:\n    _target_: x", 1),
        "experiment/four.yaml": OWN.replace("hydra:", "hydra:\n  job: {env_set: {A=B: x}}", 1),
        "method/snip_eval.yaml": "name: snip\nscore_mode: eval\n",
        "method/odd.yaml": OWN.replace("seed: 3,4", "compression: 2,4") + "method:\n  name: mag\n",
    }
    for name, text in files.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def plan(line: str) -> Plan:
    words = parse_words(shlex.split(line))
    return plan_runs(words.overrides, words.multirun, words.config_dir)


def values(line: str, read: Callable[[RunConfig], object]) -> list[object]:
    return [read(config) for config in plan(line).configs]


METHOD_CHOICES = [path.stem for path in (config_folder() / "method").glob("*.yaml")]


def names(pattern: str, registry: Iterable[str] = METHOD_CHOICES) -> list[str]:
    """What a glob over a group finds: the group's choices, sorted."""
    return fnmatch.filter(sorted(registry), pattern)


def methods_of(choices: Iterable[str]) -> list[str]:
    """The method of each choice: itself, or the one whose variant it is, such as of rand_erk."""
    by_length = sorted(METHODS, key=len, reverse=True)
    return [next(own for own in by_length if f"{name}_".startswith(f"{own}_")) for name in choices]


READ: dict[str, Callable[[RunConfig], object]] = {
    "seed": lambda config: config.seed,
    "compression": lambda config: config.compression,
    "method": lambda config: config.method,
    "dataset": lambda config: config.dataset,
    "arch": lambda config: config.arch,
    "device": lambda config: config.compute.device,
    "results": lambda config: config.files.results_dir,
    "recipe": lambda config: config.recipe.name,
    "lr": lambda config: config.recipe.lr,
    "epochs": lambda config: config.recipe.epochs,
    "drops": lambda config: config.recipe.drops,
    "width": lambda config: config.width,
    "keep": lambda config: config.files.keep_model,
    "changed": lambda config: dict(config.changed_options),
}

# A command line, what is looked at in each of its runs, and what that is.
WORKS = [
    # one value
    ("seed=3", "seed", [3]),
    ("++seed=3", "seed", [3]),
    ("seed=1 seed=2", "seed", [2]),
    ("seed=1 ++seed=2", "seed", [2]),
    ("~experiment", "seed", [0]),
    ("experiment=null", "seed", [0]),
    ("arch.width=null", "width", [None]),
    ("compression=1e1", "compression", [10.0]),
    ("'compression= 3'", "compression", [3.0]),
    ("recipe_by_arch@recipe=quick_vgg11", "recipe", ["quick"]),
    ("'recipe={epochs: 2}'", "epochs", [2]),
    ("recipe=paper recipe.drops=[3,5]", "drops", [(3, 5)]),
    ("recipe=paper 'recipe.drops=sort([5,3])'", "drops", [(3, 5)]),
    # texts
    ("'device=\"cpu\"'", "device", ["cpu"]),
    ("\"device='cpu'\"", "device", ["cpu"]),
    ("'results_dir=\"a b\"'", "results", ["a b"]),
    (r"'results_dir=a\ b'", "results", ["a b"]),
    (r"'results_dir=a\,b'", "results", ["a,b"]),
    ("'results_dir=\"a,b\"'", "results", ["a,b"]),
    ("'results_dir=\"é\"'", "results", ["é"]),
    ("results_dir=a:b", "results", ["a:b"]),
    # casts
    ("'seed=int(3.7)'", "seed", [3]),
    ("'seed=int(\"3\")'", "seed", [3]),
    ("'compression=float(3)'", "compression", [3.0]),
    ("'results_dir=str(3)'", "results", ["3"]),
    ("'keep_model=bool(1)'", "keep", [True]),
    # interpolations
    ("'results_dir=${seed}/x' seed=4", "results", ["4/x"]),
    ("'results_dir=${hydra:job.name}'", "results", ["rps_bench"]),
    ("-m 'results_dir=${hydra:runtime.choices.method}' method=mag,snip", "results",
     ["mag", "snip"]),
    ("-m 'results_dir=r${seed}' seed=0,1", "results", ["r0", "r1"]),
    (r"'recipe.name=\${seed}'", "recipe", ["${seed}"]),
    # lists
    ("-m compression=1,10 method=mag", "compression", [1.0, 10.0]),
    ("-m compression=choice(1,10) method=mag", "compression", [1.0, 10.0]),
    ("-m seed=sort(3,1,2)", "seed", [1, 2, 3]),
    ("-m seed=sort(3,1,2,reverse=true)", "seed", [3, 2, 1]),
    ("-m seed=tag(a,b,choice(1,2))", "seed", [1, 2]),
    ("-m results_dir=a,b", "results", ["a", "b"]),
    ("hydra.mode=MULTIRUN seed=0,1", "seed", [0, 1]),
    ("-m hydra.mode=RUN seed=0,1", "seed", [0, 1]),
    # ranges
    ("-m seed=range(3)", "seed", [0, 1, 2]),
    ("-m seed=range(1,8,3)", "seed", [1, 4, 7]),
    ("-m seed=range(3,0,-1)", "seed", [3, 2, 1]),
    ("-m 'recipe.lr=range(0.1,0.4,0.1)'", "lr", [0.1, 0.2, 0.3]),
    ("-m 'recipe.lr=range(0.3,0,-0.1)'", "lr", [0.3, 0.2, 0.1]),
    ("-m 'recipe.lr=sort(range(0.1,0.35,0.1),reverse=true)'", "lr", [0.3, 0.2, 0.1]),
    ("-m 'seed=sort(range(0,10,3),reverse=true)'", "seed", [9, 6, 3, 0]),
    ("-m 'compression=range(1.1,1.4,0.1)' method=mag", "compression", [1.1, 1.2, 1.3]),
    ("-m 'seed=int(range(0.5,3))'", "seed", [0, 1, 2]),
    ("-m 'compression=float(range(1,3))' method=mag", "compression", [1.0, 2.0]),
    # globs
    ("-m method=glob(s*)", "method", methods_of(names("s*"))),
    ("-m 'method=glob([s*,m*],exclude=synflow)'", "method",
     methods_of(name for name in names("[sm]*") if name != "synflow")),
    ("-m 'method=glob(s*,exclude=[snip,small])'", "method",
     methods_of(name for name in names("s*") if name not in ("snip", "small"))),
    ("-m dataset=glob(cifar*)", "dataset", names("cifar*", DATASETS)),
    ("-m arch=glob(*)", "arch", names("*", ARCHITECTURES)),
    ("-m recipe=glob(*)", "recipe", ["paper", "paper_half", "quick", "smoke"]),
    ("-m 'recipe_by_arch@recipe=glob(quick*)'", "recipe", ["quick"]),
    # the sweep of an experiment file, on the command line
    ("-m '+hydra.sweeper.params.seed=\"0,1\"'", "seed", [0, 1]),
    ("-m '++hydra.sweeper.params.seed=\"0,1\"'", "seed", [0, 1]),
    ("-m 'hydra.sweeper.params.seed=\"0,1\"'", "seed", [0, 1]),
    ("-m 'hydra.sweeper.params={seed: \"0,1\"}'", "seed", [0, 1]),
    ("-m '+hydra.sweeper.params={seed: \"0,1\"}' seed=5", "seed", [5]),
    ("-m hydra.sweeper.params=null seed=0,1", "seed", [0, 1]),
    ("-m hydra.sweeper.max_batch_size=1 seed=0,1", "seed", [0, 1]),
    ("experiment=demo hydra.sweeper.params.method=mag", "compression", [1.0, 10.0, 100.0]),
    ("hydra.mode=RUN experiment=demo", "seed", [0]),
    # yaml files of one's own
    ("--config-dir mine experiment=own", "seed", [3, 4]),
    ("-cd mine -m experiment=own", "seed", [3, 4]),
    ("--config-dir mine -m experiment=glob(o*)", "seed", [3, 4]),
    ("--config-dir mine method=snip_eval", "changed", [{"score_mode": "eval"}]),
    ("--config-dir mine -m method=glob(snip*)", "changed", [{}, {"score_mode": "eval"}]),
    ("'hydra.searchpath=[file://mine]' experiment=own", "seed", [3, 4]),
    ("-m 'hydra.searchpath=[mine]' experiment=glob(o*)", "seed", [3, 4]),
    # several experiments
    ("--config-dir mine -m experiment=own,two", "seed", [3, 4, 0, 0]),
    ("--config-dir mine -m experiment=two,own compression=2", "method",
     ["mag", "stable_rps", "stable_rps"]),
    ("--config-dir mine -m experiment=own,own", "seed", [3, 4]),
    ("--config-dir mine -m experiment=null,own", "seed", [0, 3, 4]),
    ("--config-dir mine -m experiment=own,two seed=7", "method", ["stable_rps", "mag", "mag"]),
    ("--config-dir mine -m '+hydra.sweeper.params.experiment=\"own,two\"'", "seed", [3, 4, 0, 0]),
    ("--config-dir mine hydra.mode=MULTIRUN experiment=own,two", "seed", [3, 4, 0, 0]),
    # flags and words that change no run
    ("--run seed=1", "seed", [1]),
    ("hydra/launcher=basic hydra/sweeper=basic hydra.job.name=x", "seed", [0]),
    ("+hydra.job.env_set.X=1", "seed", [0]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what", "expected"), WORKS, ids=[case[0] for case in WORKS])
def test_it_works(line: str, what: str, expected: list[object]) -> None:
    assert values(line, READ[what]) == expected


# A command line, and part of the line that it ends in.
REFUSED = [
    ("-m 'seed=range(0,4),9'", "write its values out beside others"),
    ("+seed=3", "Either remove + prefix: 'seed=3'"),
    ("+arch.depth=3", "allowed: arch.name, arch.width; did you mean arch.width?"),
    ("~seed", "the key seed is missing"),
    ("-m ~seed method=mag,snip", "the key seed is missing"),
    ("~seed=3", "The value of 'seed' is 0 and not 3"),
    ("~arch.width", "arch.width"),
    ("method=null", f"method must be one of {', '.join(names('*'))}"),
    ("-m method=null,mag", f"method must be one of {', '.join(names('*'))}"),
    ("compression=", "compression must be a finite number >= 1"),
    ("results_dir=a=b", "goes in quotes: 'results_dir=\"a=b\"'"),
    ("results_dir=é", "goes in quotes: 'results_dir=\"é\"'"),
    ("keep_model=bool(yes)", "Cannot cast 'yes' to bool"),
    ("seed=nothing(1)", "Unknown function 'nothing'"),
    ("method=mag,snip", "has several values: to sweep over them, add -m"),
    ("experiment=demo,cifar10_quick", "has several values: to sweep over them, add -m"),
    ("method=glob(*)", "requires --multirun"),
    ("'seed=range(3)'", "requires --multirun"),
    ("-m recipe.lr=interval(0,1)", "an interval has no end of values"),
    ("-m seed=range(0,1,0)", "range(0,1,0) never ends"),
    ("-m seed=range(3,1)", "a sweep has 1 to 100000 runs, these lists give 0"),
    ("-m seed=range(1000000)", "a sweep has 1 to 100000 runs, these lists give more"),
    ("-m method=glob(x*)", "matches nothing; it must match some of " + ", ".join(names("*"))),
    ("-m seed=glob(*)", "matches nothing; it is no group"),
    ("'results_dir=${hydra:job.num}'", "${hydra:job.num} is not known before a run starts"),
    ("'results_dir=${hydra:runtime.output_dir}'", "is not known before a run starts"),
    ("'results_dir=${hydra.runtime.cwd}'", "Interpolation key 'hydra.runtime.cwd' not found"),
    ("'results_dir=${nothing}'", "Interpolation key 'nothing' not found"),
    ("method@recipe=mag", "Could not override 'method@recipe'"),
    ("+method@other=mag", "unknown key other"),
    ("-m +experiment=demo,cifar10_quick", "Multiple values for experiment"),
    ("-m experiment=demo,foo", "experiment must be one of cifar100_quick"),
    ("'+hydra.sweeper.params.seed=\"0,1\"'", "is of a sweep: add -m"),
    ("-m hydra.sweeper.params.seed=0,1", 'can have one value only, in quotes: "0,1"'),
    ("-m hydra.launcher.n_jobs=1,2", "can have one value only"),
    ("-m hydra.sweeper.max_batch_size=0", "must be a whole number from 1 up, got 0"),
    ("hydra.mode=WALK", "expected one of [RUN, MULTIRUN]"),
    ("hydra/sweeper=other", "would do nothing here: all runs are planned before the first"),
    ("hydra.run.dir=x", "would do nothing here: type results_dir=FOLDER"),
    ("-m hydra.sweep.dir=x", "would do nothing here: type results_dir=FOLDER"),
    ("hydra.job.chdir=true", "would do nothing here: runs stay in the folder"),
    ("hydra.verbose=true", "would do nothing here"),
    ("hydra.output_subdir=x", "would do nothing here"),
    ("hydra.callbacks=x", "would do nothing here: of Hydra's own words take hydra.mode"),
    ("'hydra={mode: RUN}'", "would do nothing here"),
    (
        "--config-dir mine experiment=four",
        "hydra.job.env_set.A=B cannot be a variable of the environment",
    ),
    ("--config-dir nowhere", "there is no folder"),
    ("'hydra.searchpath=[file://nowhere]'", "there is no folder"),
    ("hydra.searchpath=3", "hydra.searchpath must be a list"),
    ("--config-dir mine -m experiment=own,three", "are launched in different ways"),
    ("--config-dir mine -m method=snip,odd", "only an experiment may change them"),
    ("--config-path x", "--config-path is not taken; --config-dir FOLDER adds yaml files"),
    ("--config-name x", "--config-name is not taken; --config-dir FOLDER adds yaml files"),
    ("--experimental-rerun x", "give the same command again"),
    ("--package seed", "--package goes with --cfg"),
    ("--resolve", "--resolve goes with --cfg"),
    ("--run -m", "--run and --multirun exclude each other"),
    ("--cfg job -m", "--multirun and --cfg exclude each other"),
    ("--cfg walk", "invalid choice: 'walk'"),
    ("--info nothing", "invalid choice: 'nothing'"),
]


@pytest.mark.parametrize(("line", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_it_is_one_line(line: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        plan(line)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# A command line, and part of what it prints.
INFORMS = [
    ("--help", "Any value can be changed as key=value"),
    ("-h seed=3", "seed: 3"),
    ("--hydra-help", "Hydra"),
    ("--version", f"Hydra {hydra.__version__}"),
    ("--cfg job seed=3", "seed: 3"),
    ("--cfg hydra", "launcher:"),
    ("--cfg all", "compression: null"),
    ("--cfg job --resolve", "results_dir: results"),
    ("--cfg job --package recipe", "epochs: 6"),
    ("--info", "Config search path"),
    ("--info all", "Config search path"),
    ("--info config", "seed: 0"),
    ("--info defaults", "Defaults List"),
    ("--info defaults-tree", "Defaults Tree"),
    ("--info plugins", "Installed Hydra Plugins"),
    ("--config-dir mine --info searchpath", "command-line"),
    ("--config-dir mine --cfg job experiment=two", "name: mag"),
    ("-sc install=bash", "complete"),
    ("--shell-completion install=fish", "complete"),
]


@pytest.mark.parametrize(("line", "text"), INFORMS, ids=[case[0] for case in INFORMS])
def test_it_informs(
    line: str, text: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*shlex.split(line)) == 0
    assert text in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize(
    ("line", "what", "expected"),
    [
        ("recipe=paper recipe.drops=extend_list(90)", "drops", [(80, 120, 90)]),
        ("-m recipe=paper recipe.drops=extend_list(90) seed=0,1", "drops", [(80, 120, 90)] * 2),
        ("'recipe.name=json_str([1])'", "recipe", ["[1]"]),
    ],
)
def test_functions_of_newer_versions(line: str, what: str, expected: list[object]) -> None:
    if IS_HYDRA_13:
        with pytest.raises(UserError, match=r"Unknown function '(extend_list|json_str)'"):
            plan(line)
    else:
        assert values(line, READ[what]) == expected


def test_shuffled_lists_hold_the_same_runs() -> None:
    assert set(values("-m recipe.lr=shuffle(range(0.1,0.4,0.1))", READ["lr"])) == {0.1, 0.2, 0.3}
    assert set(values("-m seed=shuffle(3,1,2)", READ["seed"])) == {1, 2, 3}


def test_a_folder_of_the_command_is_found(folder: Path) -> None:
    (config,) = plan("'results_dir=${hydra:runtime.cwd}/x'").configs
    assert config.files.results_dir == f"{os.path.realpath(folder)}/x"


def test_a_time_is_one_for_all_runs_of_a_command() -> None:
    assert len(set(values("-m 'results_dir=${now:%f}' method=mag,snip,rand", READ["results"]))) == 1


@pytest.mark.parametrize(
    "line", ["experiment=demo,cifar10_quick", "experiment=glob([demo,cifar10_q*])"]
)
def test_committed_experiments_together_are_each_of_them(line: str) -> None:
    wanted = {"demo", "cifar10_quick"} | ({"cifar10_quick_seeds"} if "glob" in line else set())
    alone = {c.run_id for name in wanted for c in plan(f"experiment={name}").configs}
    together = [config.run_id for config in plan(f"-m {line}").configs]
    assert len(together) == len(set(together))
    assert set(together) == alone


def test_a_plan_leaves_an_application_around_it_alone() -> None:
    from hydra import compose, initialize_config_dir

    from rps_bench.core.conf_folder import config_folder
    from rps_bench.sweep.sources import hydra_version_base

    with initialize_config_dir(str(config_folder()), job_name="outer", **hydra_version_base()):
        plan("seed=3")
        assert compose("config", ["seed=4"]).seed == 4


def test_variables_are_set_for_the_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def launch(*_: object) -> bool:
        seen.append(os.environ.get("RPS_TEST"))
        return True

    monkeypatch.setattr("rps_bench.launch.whole.launch", launch)
    command("+hydra.job.env_set.RPS_TEST=yes")
    assert seen == ["yes"]
    assert "RPS_TEST" not in os.environ


def test_workers_do_what_was_planned(command: Command, folder: Path) -> None:
    """Yaml files of one's own, several experiments and a time, in other processes."""
    line = (
        "--config-dir mine -m experiment=own,two processes=2 recipe=smoke device=cpu "
        "arch.width=2 precision=fp32 "
        "'results_dir=${hydra:runtime.cwd}/out/${now:%f}'"
    )
    assert command(*shlex.split(line)) == 0
    (results,) = (folder / "out").iterdir()
    records, problems = read_records(results)
    assert not problems
    configs = [record["config"] for record in records]
    done = {(config["method"], config["compression"], config["seed"]) for config in configs}
    assert done == {
        *(("stable_rps", 10.0, 3), ("stable_rps", 10.0, 4)),
        *(("mag", 2.0, 0), ("mag", 4.0, 0)),
    }


def test_help_imports_no_torch() -> None:
    program = (
        "import sys\nsys.argv[1:] = ['--help']\nfrom rps_bench.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True
    )
    assert answer.stdout.splitlines()[-1] == "False", answer.stderr
