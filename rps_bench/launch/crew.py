"""The processes that share the runs of a command: starting them, handing out runs, their ends.

This process does no run itself. A process that dies is not replaced while others are left: they
take up its run, from the state that it kept.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.launch.attempt import Attempt
from rps_bench.launch.echo import Echo
from rps_bench.launch.run_queue import Place, RunQueue
from rps_bench.launch.sharing import Sharing
from rps_bench.launch.worker import HELD_BACK, Task
from rps_bench.plugins.files import list_loaded
from rps_bench.runtime.signals import undisturbed
from rps_bench.runtime.waiting import choose_waiting
from rps_bench.sweep.workload import name_training

PROGRAM = (  # with this process's places of modules, whatever folder it was started in
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from rps_bench.launch.worker import main; main(sys.argv[1])"
)
MOST_DEATHS = 2  # of processes at one run, which may be what kills them
MOST_DEATHS_IN_A_ROW = 6  # without a run that any process could end
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0  # before runs of others are tried again
LOOK_SECONDS = 5.0  # between two looks at processes that say nothing


def share_out(
    configs: Sequence[RunConfig], sharing: Sharing, note_tried: Callable[[RunConfig], None]
) -> bool:
    """Do all runs in processes of their own; returns once each was tried.

    Args:
        configs: The runs.
        sharing: How many processes and threads.
        note_tried: Called with each run once that is over.

    Returns:
        Whether every failure has a record that tells it, as ``work_through`` does.

    Raises:
        StopError: The command was asked to stop; the processes have kept their states and ended.
    """
    num_processes, num_threads = sharing.num_processes, sharing.num_threads
    threads = f"{num_threads} thread{'s' if num_threads > 1 else ''}"
    say(f"{len(configs)} runs in {num_processes} processes of {threads} each")
    own = [config.with_threads(num_threads) for config in configs]
    return Crew(own, sharing, note_tried).work()


class Worker:
    """One of the processes, as the command sees it.

    Args:
        number: Tells it from the others.
        num_threads: Of the process.
        echo: Passes on what it prints.
    """

    def __init__(self, number: int, num_threads: int, echo: Echo) -> None:
        self.config: RunConfig | None = None
        self.is_listening = False
        self.connection, theirs = Pipe()
        pipes = [os.pipe(), os.pipe()]
        passed = [theirs.fileno(), *(writing for _, writing in pipes)]
        environment = os.environ | choose_waiting(os.environ)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)  # until it can hear them
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, ",".join(map(str, passed)), *sys.path],
                pass_fds=passed,
                env=environment | {"OMP_NUM_THREADS": str(num_threads)},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        for _, writing in pipes:
            os.close(writing)
        self._echoes = [
            echo.follow(reading, is_error, number)
            for (reading, _), is_error in zip(pipes, (False, True), strict=True)
        ]

    def begin(self, config: RunConfig) -> None:
        """Send it a run; a process that is dead by now is noticed later."""
        self.config = config
        with suppress(OSError):
            self.connection.send(Task(config, list_loaded()))

    def ask_to_stop(self) -> None:
        """Ask it to keep the state of its run, if it has one, and to leave."""
        if not self.is_listening and not self.connection.poll():
            self.process.kill()  # it is still starting, which may take seconds, and has nothing
            return
        with suppress(OSError):
            self.connection.send(None)

    def wait(self) -> int:
        """Wait until it has ended and all that it printed is passed on; its exit status."""
        status = self.process.wait()
        for thread in self._echoes:
            thread.join()
        self.connection.close()
        return status


class Crew:
    """All processes of a command, and what is left to do.

    Args:
        configs: The runs.
        sharing: How many processes and threads.
        note_tried: Called with each run once that is over.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        sharing: Sharing,
        note_tried: Callable[[RunConfig], None],
    ) -> None:
        self.note_tried = note_tried
        self.queue = RunQueue(configs, name_training)
        self.size, self.num_threads = sharing.num_processes, sharing.num_threads
        self.workers: list[Worker] = []
        self.tells_all = True
        self._echo, self._num_started = Echo(), 0
        self._deaths: Counter[Place] = Counter()
        self._pause, self._paused_at = FIRST_PAUSE_SECONDS, time.monotonic()
        self._has_said_waiting, self._num_deaths_in_a_row = False, 0

    def work(self) -> bool:
        """Do all runs, as `share_out` does."""
        try:
            while not self.queue.is_over:
                with undisturbed():
                    self._hand_out()
                wait([worker.connection for worker in self.workers], self._find_patience())
                with undisturbed():
                    for worker in list(self.workers):
                        self._hear(worker)
        finally:
            with undisturbed():
                self._end()
        return self.tells_all

    def _hand_out(self) -> None:
        """Give every process a run that has none, as far as there are runs to be tried."""
        self._look_again()
        while (worker := self._find_idle()) or len(self.workers) < self.size:
            config = self.queue.take()
            if config is None:
                return
            if worker is None:
                self._num_started += 1
                worker = Worker(self._num_started, self.num_threads, self._echo)
                self.workers.append(worker)
            worker.begin(config)

    def _look_again(self) -> None:
        """Try again what was put off, after a pause that grows as long as nothing changes."""
        if not self._has_idle or time.monotonic() - self._paused_at < self._pause:
            return
        if self.queue.num_at_work == 0 and not self._has_said_waiting:
            self._has_said_waiting = True
            names = ", ".join(config.run_id for config in self.queue.waiting)
            say(f"waiting for other processes: {names}")
        self.queue.look_again()
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._paused_at = time.monotonic()

    def _find_idle(self) -> Worker | None:
        return next((worker for worker in self.workers if worker.config is None), None)

    @property
    def _has_idle(self) -> bool:
        """Whether a process could do more, and there is more to do."""
        return bool(self.queue.waiting) and self.queue.num_at_work < self.size

    def _find_patience(self) -> float:
        """Seconds until something is to be done, even if no process says anything."""
        if not self._has_idle:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, self._paused_at + self._pause - time.monotonic()))

    def _hear(self, worker: Worker) -> None:
        """Take what a process has to tell, or notice that it is dead."""
        try:
            if worker.connection.poll():
                attempt = worker.connection.recv()
                worker.is_listening = True
                if attempt is not None:
                    self._note(worker, attempt)
            elif worker.process.poll() is not None:
                self._bury(worker)
        except (EOFError, OSError):
            self._bury(worker)

    def _note(self, worker: Worker, attempt: Attempt) -> None:
        """Note how a run ended."""
        config, worker.config = worker.config, None
        assert config is not None
        self._num_deaths_in_a_row = 0
        if attempt is Attempt.PUT_OFF:
            self.queue.put_off(config)
            return
        self._end_run(config)
        self.tells_all = self.tells_all and attempt is not Attempt.LOST
        self._pause, self._paused_at = FIRST_PAUSE_SECONDS, time.monotonic()
        self._has_said_waiting = False

    def _bury(self, worker: Worker) -> None:
        """Leave the run of a dead process to others, unless it has cost too many."""
        self.workers.remove(worker)
        self.size = max(1, self.size - 1)
        self._num_deaths_in_a_row += 1
        status, config = worker.wait(), worker.config
        if config is None:
            return
        end = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        self._deaths[config.record_place] += 1
        if self._deaths[config.record_place] < MOST_DEATHS:
            say(f"a process {end} amid {config.run_id}, which is taken up again")
            self.queue.give_back(config)
            return
        say(f"failed: {config.run_id}  each process that did it {end}")
        self.tells_all = False
        self._end_run(config)
        if self._num_deaths_in_a_row >= MOST_DEATHS_IN_A_ROW and self.queue.waiting:
            say(f"{len(self.queue.waiting)} runs were not tried: the processes end too soon")
            self.queue.waiting.clear()

    def _end_run(self, config: RunConfig) -> None:
        self.queue.end(config)
        self.note_tried(config)

    def _end(self) -> None:
        """Let all processes leave, and wait for them."""
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            worker.wait()
