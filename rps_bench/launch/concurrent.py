"""Several runs at once in one thread: each has a stack of its own, and they take turns.

A run goes on until it calls ``let_others``, which it does before it waits for its device: while
one waits, what the others queued is worked off. All of them are in the main thread, so signals,
locks and everything that a thread has one of stay what they are for one run. ``do_at_once`` is the
door to all of this.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from functools import partial
from typing import Generic, TypeVar

from greenlet import getcurrent, greenlet

from rps_bench.datasets.placed import PlacedData
from rps_bench.launch.streams import make_lane, size_finder
from rps_bench.runtime.devices import resolve_device
from rps_bench.runtime.turns import OWN_TURN, Lane, Turn

Result = TypeVar("Result")


def do_at_once(
    runs: Sequence[Callable[[PlacedData], Result]], device: str, population: int | None
) -> list[Result]:
    """Do runs that share one device, several at once, and return what they returned, in order.

    Args:
        runs: Each takes the images that all of them share on the device.
        device: Of all of them.
        population: How many at once; None: as many as the GPU has memory for.
    """
    place, placed = resolve_device(device), PlacedData()
    return ConcurrentJobs(
        [partial(run, placed) for run in runs],
        size_finder(population, len(runs), place, placed.count_bytes),
        partial(make_lane, place),
    ).run()


class ConcurrentJobs(Generic[Result]):
    """Jobs that take turns, a number of them at once; a new one starts where one has ended.

    The order is always the same: round after round, each in the order of the jobs.

    Args:
        jobs: What to do.
        find_size: Tells how many at once. Called when the first job has had a turn and has more to
            do; until then that one is alone.
        make_lane: Makes a lane. One that an ended job leaves goes to a new one.
    """

    def __init__(
        self,
        jobs: Iterable[Callable[[], Result]],
        find_size: Callable[[], int],
        make_lane: Callable[[], Lane] = lambda: nullcontext,
    ) -> None:
        self._jobs, self._find_size, self._make_lane = enumerate(jobs), find_size, make_lane
        self._size: int | None = None
        self._members: list[_Member[Result]] = []
        self._free_lanes: list[Lane] = []
        self._results: dict[int, Result] = {}

    def run(self) -> list[Result]:
        """Do all jobs; return what they returned, in their order.

        An exception that leaves a job, or comes between two turns, is raised in the end. First
        each of the others gets a KeyboardInterrupt where it gave way (the same as the exception,
        if that is one), so that it can keep what it has.
        """
        try:
            while self._fill():
                for member in list(self._members):
                    self._give_turn(member)
        except BaseException as error:
            self._stop(error)
            raise
        return [self._results[number] for number in sorted(self._results)]

    def _fill(self) -> bool:
        """Take in new members while there is room; return whether there are any at all."""
        while len(self._members) < (self._size or 1):
            number, job = next(self._jobs, (None, None))
            if number is None or job is None:
                break
            lane = self._free_lanes.pop() if self._free_lanes else self._make_lane()
            self._members.append(_Member(number, job, lane))
        return bool(self._members)

    def _give_turn(self, member: "_Member[Result]") -> None:
        member.turn.num_alive = len(self._members)
        member.go_on()
        if member.is_alive:
            if self._size is None:
                self._size = self._find_size()
            self._count()
            return
        self._members.remove(member)
        self._free_lanes.append(member.lane)
        if member.turn.is_crowded:
            self._size = max(1, len(self._members))
        self._results[member.number] = member.result()

    def _count(self) -> None:
        """Let all members that train know how many they are."""
        training = [member for member in self._members if member.is_alive]
        for member in training:
            member.turn.most_at_once = max(member.turn.most_at_once, len(training))

    def _stop(self, error: BaseException) -> None:
        stop = error if isinstance(error, KeyboardInterrupt) else KeyboardInterrupt()
        for member in self._members:
            member.stop(stop)
            if isinstance(member.error, Exception):
                error.add_note(f"Asked to stop for this, another run raised {member.error!r}")


class _Member(Generic[Result]):
    """A job with a stack, a context and a lane of its own."""

    def __init__(self, number: int, job: Callable[[], Result], lane: Lane) -> None:
        self.number, self.lane = number, lane
        self.error: BaseException | None = None
        self.turn = Turn(getcurrent().switch)
        self._job, self._results = job, list[Result]()
        self._stack = greenlet(self._work)
        context = copy_context()
        context.run(OWN_TURN.set, self.turn)
        self._stack.gr_context = context

    @property
    def is_alive(self) -> bool:
        """Whether it has given way and has more to do."""
        return bool(self._stack)

    def go_on(self) -> None:
        """Begin, or go on, until it gives way or ends."""
        with self.lane():
            self._stack.switch()

    def stop(self, error: KeyboardInterrupt) -> None:
        """Raise an error like this one where it gave way, until it ends."""
        while self.is_alive:
            with self.lane():
                self._stack.throw(type(error)(*error.args))

    def result(self) -> Result:
        """What the job returned; raises what it raised."""
        if self.error is not None:
            raise self.error
        return self._results[0]

    def _work(self) -> None:
        try:
            self._results.append(self._job())
        except BaseException as error:
            self.error = error
