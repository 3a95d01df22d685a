"""How many processes and threads a sweep gets, as a table of sweeps and machines."""

import pytest

from rps_bench.core.errors import UserError
from rps_bench.launch.sharing import Machine, choose_sharing
from rps_bench.sweep.planning import plan_runs

GIGABYTE = 10**9
ON_CPU = ["device=cpu", "results_dir=nowhere"]
LONG = [*ON_CPU, "method=mag", "recipe.epochs=2", "recipe.batch_size=64"]  # 46 steps
EIGHT = [*LONG, "seed=range(8)"]

CASES = {
    "a process for each core": (EIGHT, Machine(2, None, None), (2, 1)),
    "more cores than runs": (EIGHT, Machine(24, None, None), (8, 3)),
    "one core": (EIGHT, Machine(1, None, None), (1, 1)),
    "a single run": ([*LONG, "recipe.epochs=50"], Machine(4, None, None), (1, 4)),
    "two runs": ([*LONG, "recipe.epochs=9", "seed=0,1"], Machine(4, None, None), (2, 2)),
    "threads that are given": ([*EIGHT, "threads=2"], Machine(8, None, None), (4, 2)),
    "more threads than cores": ([*EIGHT, "threads=4"], Machine(2, None, None), (1, 4)),
    "threads of the environment": (EIGHT, Machine(8, None, 4), (2, 4)),
    "little memory": (EIGHT, Machine(8, 5 * GIGABYTE, None), (2, 4)),
    "no memory": (EIGHT, Machine(8, 0, None), (1, 8)),
    "much memory": (EIGHT, Machine(2, 500 * GIGABYTE, None), (2, 1)),
    "tries": ([*EIGHT, "recipe=smoke", "recipe.epochs=2"], Machine(2, None, None), (1, 2)),
    "few steps in all": ([*LONG, "seed=0,1"], Machine(2, None, None), (1, 2)),
    "steps enough": ([*LONG, "seed=0,1,2"], Machine(2, None, None), (2, 1)),
    "one chain": (
        [*EIGHT, "method=ltr", "seed=0", "compression=2,4"],
        Machine(2, None, None),
        (1, 2),
    ),
    "a chain and another": (
        [*EIGHT, "method=ltr,mag", "seed=0", "compression=2,4"],
        Machine(8, None, None),
        (3, 2),
    ),
    "roundings of one": ([*LONG, "storage=exact,fp16,int8"], Machine(2, None, None), (1, 2)),
    "several at once": ([*EIGHT, "population=2"], Machine(2, None, None), (1, 2)),
    "as many as fit a GPU": ([*EIGHT, "population=auto"], Machine(2, None, None), (1, 2)),
    "a number": ([*EIGHT, "processes=3"], Machine(8, None, None), (3, 2)),
    "a number, also of tries": (
        [*EIGHT, "recipe=smoke", "recipe.epochs=2", "processes=2"],
        Machine(2, 0, None),
        (2, 1),
    ),
    "a number above that of runs": (
        [*LONG, "seed=0,1", "processes=9"],
        Machine(8, None, None),
        (2, 4),
    ),
    "this process alone": ([*EIGHT, "processes=1"], Machine(8, None, None), (1, 8)),
    "slots on GPUs": ([*EIGHT, "gpus=[0,1]", "runs_per_gpu=2"], Machine(16, None, None), (4, 4)),
    "more slots than cores": ([*EIGHT, "gpus=[0,1,2,3]"], Machine(2, None, None), (4, 1)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_processes_and_threads(case: str) -> None:
    words, machine, (num_processes, num_threads) = CASES[case]
    found = choose_sharing(plan_runs(words, is_sweep=True).configs, machine)
    assert (found.num_processes, found.num_threads) == (num_processes, num_threads)


def test_one_gpu_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(
        "rps_bench.runtime.devices.resolve_device", lambda name: torch.device("cuda:0")
    )
    configs = plan_runs([*EIGHT, "device=auto"], is_sweep=True).configs
    assert choose_sharing(configs, Machine(8, None, None)).num_processes == 1


def test_systems_without_what_processes_need(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = [plan_runs([*EIGHT, word], is_sweep=True) for word in ("processes=auto", "processes=2")]
    monkeypatch.setattr("rps_bench.launch.sharing.os.name", "nt")
    machine = Machine(8, None, None)
    assert choose_sharing(plans[0].configs, machine).num_processes == 1
    with pytest.raises(UserError, match="processes=2 needs Linux or macOS"):
        choose_sharing(plans[1].configs, machine)
