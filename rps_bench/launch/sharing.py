"""How many processes share the runs of a command, and how many threads each of them has.

A network as small as ResNet-20 gains little from a second thread: two processes of one thread do
nearly twice what one process of two does. So there is a process for each core, or for each slot on
a GPU, unless there is too little to do for the seconds that a process takes to start.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from rps_bench.config import RunConfig
from rps_bench.core.errors import UserError
from rps_bench.runtime.cores import count_cores, stated_threads
from rps_bench.runtime.free_memory import find_free_bytes
from rps_bench.runtime.signals import undisturbed

# A process takes some seconds to start, a step of ResNet-20 on a core a tenth of one.
STEPS_OF_A_SHORT_RUN = 20  # runs of fewer steps are tries
STEPS_WORTH_SHARING = 100  # of a sweep that is left to do
BYTES_OF_A_PROCESS = 2 * 10**9  # a run of the committed studies takes up to 1.6


@dataclass(frozen=True)
class Machine:
    """What there is to share.

    Attributes:
        num_cores: For all processes together.
        free_bytes: Of memory, None where unknown.
        stated_threads: Of each process, as the environment states them; None if it does not.
    """

    num_cores: int
    free_bytes: int | None
    stated_threads: int | None


@dataclass(frozen=True)
class Sharing:
    """How runs are shared: so many processes, each with so many threads."""

    num_processes: int
    num_threads: int


def look_at_machine() -> Machine:
    """This machine, or the part of it that this container may use."""
    return Machine(count_cores(), find_free_bytes(), stated_threads(os.environ))


def choose_sharing(configs: Sequence[RunConfig], machine: Machine) -> Sharing:
    """How many processes do these runs, 1 for this process alone.

    Args:
        configs: The runs that are to be done.
        machine: What there is to share.

    Raises:
        UserError: Processes are asked for where the system lacks what they need.
    """
    asked = configs[0].compute.processes  # the same for all runs of a command
    if asked is not None and asked > 1 and os.name != "posix":
        raise UserError(f"processes={asked} needs Linux or macOS; set processes=1")
    num_processes = _find_good_number(configs, machine) if asked is None else asked
    num_processes = min(num_processes, len(configs))
    share = max(1, machine.num_cores // num_processes)
    return Sharing(num_processes, _find_threads(configs, machine) or share)


def _find_good_number(configs: Sequence[RunConfig], machine: Machine) -> int:
    """The number that is chosen for ``processes=auto``."""
    if len(configs) == 1 or os.name != "posix":
        return 1
    if any(config.compute.population != 1 for config in configs) or not _is_long(configs):
        return 1
    from rps_bench.sweep.workload import name_training  # imports torch

    num_trainings = len({name_training(config) for config in configs})
    num_places = min(_count_places(config, machine) for config in configs)
    memory = machine.free_bytes
    num_fitting = num_places if memory is None else memory // BYTES_OF_A_PROCESS
    return max(1, min(num_trainings, num_places, num_fitting))


def _is_long(configs: Sequence[RunConfig]) -> bool:
    """Whether these runs take so long that a start of processes does not count."""
    from rps_bench.sweep.workload import count_steps  # imports torch

    steps = [count_steps(config) for config in configs]
    return sum(n for n in steps if n >= STEPS_OF_A_SHORT_RUN) >= STEPS_WORTH_SHARING


def _count_places(config: RunConfig, machine: Machine) -> int:
    """How many runs like this one the machine is good for at once: slots on GPUs, or cores."""
    compute = config.compute
    if compute.gpus:
        return len(compute.gpus) * compute.runs_per_gpu
    with undisturbed():  # C++ that a signal would end is imported
        from rps_bench.runtime.devices import resolve_device
    if resolve_device(compute.device).type != "cpu":
        return 1
    return machine.num_cores // (_find_threads([config], machine) or 1)


def _find_threads(configs: Sequence[RunConfig], machine: Machine) -> int | None:
    """The threads of each process that the user states; None for a share of the cores."""
    given = [config.compute.threads for config in configs if config.compute.threads is not None]
    return max(given) if given else machine.stated_threads
