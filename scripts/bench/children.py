"""Separate processes, so that measurements share neither memory nor threads."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import torch

from rps_bench.core.errors import ExplainedError, describe_failure
from rps_bench.costs.memory import peak_memory_bytes, reset_peak_memory
from rps_bench.runtime.waiting import VARIABLES, choose_waiting, stated_waiting
from scripts.bench.sides import SIDES, Side
from scripts.bench.subject import Job
from scripts.bench.timing import wait_for

Result = TypeVar("Result")

LEAVE_SECONDS = 60  # for a crowded machine; usually a moment
SPAWN = multiprocessing.get_context("spawn")


def call_apart(work: Callable[..., Result], *arguments: Any) -> Result:
    """The result of a call made in a fresh process."""
    with waiting_as(waiting_of_a_run()), ProcessPoolExecutor(1, SPAWN) as processes:
        return processes.submit(work, *arguments).result()


def waiting_of_a_run() -> dict[str, str]:
    """The variables with which threads of a run started here would wait."""
    return stated_waiting(os.environ) | choose_waiting(os.environ)


@contextlib.contextmanager
def waiting_as(variables: Mapping[str, str]) -> Iterator[None]:
    """A context in which these, and no other, variables say how threads of new processes wait."""
    before = stated_waiting(os.environ)
    _replace_waiting(variables)
    try:
        yield
    finally:
        _replace_waiting(before)


def _replace_waiting(variables: Mapping[str, str]) -> None:
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(variables)


class Child:
    """A side in a separate process, which is idle until it is asked for a round."""

    def __init__(self, job: Job) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(theirs, job))
        with waiting_as(job.waiting):
            self.process.start()
        theirs.close()

    def take_round(self) -> dict[str, Any]:
        """Let the process do a round; return the result of ``_measure_round``.

        Raises:
            ExplainedError: The process failed; the message gives the reason.
        """
        try:
            self.pipe.send("round")
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(LEAVE_SECONDS)
            status = self.process.exitcode
            raise ExplainedError(f"a process ended with status {status}") from None
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, dict)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pipe.close()  # ends an idle process
        self.process.join(LEAVE_SECONDS if error is None else 0)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


def serve(pipe: Connection, job: Job) -> None:
    """Do a round for each message, until the pipe is closed; runs in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and closes the pipe
    # Otherwise loader processes would be spawned like this one, unlike those of usual scripts.
    multiprocessing.set_start_method(None, force=True)
    side: Side | None = None
    device = torch.device(job.device)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while pipe.recv():
            try:
                if side is None:
                    side = SIDES[job.side](job)
                    reset_peak_memory(device)
                pipe.send(_measure_round(side, device))
            except Exception as error:
                pipe.send(ExplainedError(f"{job.side}, {job.arch}: {describe_failure(error)}"))


def _measure_round(side: Side, device: torch.device) -> dict[str, Any]:
    """The seconds of a round, peak memory of all rounds so far, and memory of loader processes."""
    wait_for(device)
    started = time.perf_counter()
    side.take_round()
    wait_for(device)
    return {
        "seconds": time.perf_counter() - started,
        "peak_memory_bytes": peak_memory_bytes(device),
        "workers_memory_bytes": _count_workers_memory(),
    }


def _count_workers_memory() -> int:
    """The private memory of the processes that load images (Linux; 0 if unknown)."""
    total = 0
    for process in multiprocessing.active_children():
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
    return total
