"""Several jobs at once in one thread: their order and lanes, what they know, how they end."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from rps_bench.launch.concurrent import ConcurrentJobs
from rps_bench.runtime.signals import StopError, StopSignals, undisturbed
from rps_bench.runtime.turns import OWN_TURN, ask_for_room, count_alive, let_others, most_at_once

Job = Callable[[], str]


class Log(list[str]):
    """What jobs did, in order."""

    def job(self, name: str, num_turns: int, fails: BaseException | None = None) -> Job:
        """A job that says each of its turns, and in the end returns its name or fails."""

        def work() -> str:
            for turn in range(num_turns):
                self.append(f"{name}{turn}")
                if turn < num_turns - 1:
                    let_others()
            if fails is not None:
                raise fails
            return name

        return work

    def keeping(self, name: str) -> Job:
        """A job without end that keeps its state when it is stopped, and says by what."""

        def work() -> str:
            try:
                while True:
                    let_others()
            except KeyboardInterrupt as stop:
                self.append(f"{name} kept, {type(stop).__name__}{list(map(int, stop.args))}")
                raise

        return work


def two() -> int:
    return 2


def test_turns_go_round_and_a_new_job_starts_where_one_has_ended() -> None:
    log = Log()
    jobs = [log.job("a", 2), log.job("b", 4), log.job("c", 1), log.job("d", 2)]
    assert ConcurrentJobs(jobs, two).run() == ["a", "b", "c", "d"]
    # The first is alone until it has had a turn.
    assert log == ["a0", "a1", "b0", "b1", "c0", "b2", "d0", "b3", "d1"]


@pytest.mark.parametrize("size", [1, 5])
def test_any_size_does_all_jobs(size: int) -> None:
    log = Log()
    names = ConcurrentJobs([log.job(name, 3) for name in "abc"], lambda: size).run()
    assert names == ["a", "b", "c"]
    assert sorted(log) == [f"{name}{turn}" for name in "abc" for turn in range(3)]
    if size == 1:
        assert log == sorted(log)


def test_no_jobs() -> None:
    assert ConcurrentJobs(list[Job](), two).run() == []


def test_the_size_is_asked_once_something_trains() -> None:
    log = Log()

    def find_size() -> int:
        log.append("?")
        return 2

    assert ConcurrentJobs([log.job(name, 1) for name in "ab"], find_size).run() == ["a", "b"]
    assert log == ["a0", "b0"]
    log.clear()
    ConcurrentJobs([log.job("a", 1), log.job("b", 2), log.job("c", 2)], find_size).run()
    assert log == ["a0", "b0", "?", "b1", "c0", "c1"]


def test_alone_nobody_is_let_go_first() -> None:
    let_others()
    assert (count_alive(), most_at_once(), ask_for_room()) == (1, 1, False)


def test_a_job_knows_how_many_train_beside_it() -> None:
    seen: dict[str, tuple[int, int]] = {}

    def job(name: str, num_turns: int) -> Job:
        def work() -> str:
            for _ in range(num_turns - 1):
                let_others()
            seen[name] = (count_alive(), most_at_once())
            return name

        return work

    # c never gives way: it is put off at once, and counts for nobody.
    ConcurrentJobs([job("a", 3), job("b", 5), job("c", 1), job("d", 2)], lambda: 3).run()
    assert seen == {"a": (3, 2), "b": (1, 2), "c": (3, 1), "d": (2, 2)}
    assert OWN_TURN.get() is None


def test_a_crowded_job_leaves_fewer_places() -> None:
    log = Log()

    def crowded() -> str:
        let_others()
        assert ask_for_room()
        return "crowded"

    jobs = [log.job("a", 6), crowded, log.job("c", 4), log.job("d", 2), log.job("e", 1)]
    assert ConcurrentJobs(jobs, lambda: 3).run() == ["a", "crowded", "c", "d", "e"]
    assert " ".join(log) == "a0 a1 c0 a2 c1 a3 c2 a4 c3 a5 d0 d1 e0"


def test_each_place_has_a_lane_and_each_turn_is_in_it() -> None:
    made: list[int] = []
    inside: list[int] = []
    turns: list[tuple[str, int]] = []

    def make_lane() -> Callable[[], AbstractContextManager[None]]:
        number = len(made)
        made.append(number)

        @contextmanager
        def lane() -> Iterator[None]:
            assert inside == []
            inside.append(number)
            yield
            inside.remove(number)

        return lane

    def job(name: str, num_turns: int) -> Job:
        def work() -> str:
            for turn in range(num_turns):
                turns.append((name, *inside))  # type: ignore[arg-type]
                if turn < num_turns - 1:
                    let_others()
            return name

        return work

    ConcurrentJobs([job("a", 5), job("b", 1), job("c", 2), job("d", 1)], two, make_lane).run()
    assert made == [0, 1]
    assert sorted(set(turns)) == [("a", 0), ("b", 1), ("c", 1), ("d", 1)]


def test_what_a_job_does_not_catch_ends_all_and_is_raised() -> None:
    log = Log()
    jobs = [log.keeping("a"), log.job("b", 2, ZeroDivisionError("ours")), log.keeping("c")]
    with pytest.raises(ZeroDivisionError, match="ours"):
        ConcurrentJobs([*jobs, log.job("never", 1)], lambda: 3).run()
    assert log == ["b0", "b1", "a kept, KeyboardInterrupt[]", "c kept, KeyboardInterrupt[]"]


def test_a_fault_while_stopping_is_not_lost() -> None:
    def stubborn() -> str:
        let_others()
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                let_others()
        raise ValueError("no disk")

    with pytest.raises(ZeroDivisionError) as error:
        ConcurrentJobs([stubborn, Log().job("b", 1, ZeroDivisionError())], two).run()
    assert error.value.__notes__ == [
        "Asked to stop for this, another run raised ValueError('no disk')"
    ]


def test_an_interrupt_between_two_turns_reaches_all() -> None:
    log = Log()

    def find_size() -> int:
        raise StopError(signal.SIGTERM)

    with pytest.raises(StopError):
        ConcurrentJobs([log.keeping("a"), log.keeping("b")], find_size).run()
    assert log == ["a kept, StopError[15]"]


@pytest.mark.parametrize("is_undisturbed", [True, False])
def test_a_signal_stops_each_job_once(is_undisturbed: bool) -> None:
    log = Log()

    def hit() -> str:
        for _ in range(3):
            let_others()
        if is_undisturbed:
            with undisturbed():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0)
                log.append("done first")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
        return "not reached"

    def careful() -> str:
        """Keeps its state where no signal is heard, which ends in the same again."""
        try:
            let_others()
        finally:
            with undisturbed():
                log.append("careful kept")
        return "not reached"

    with StopSignals(), pytest.raises(StopError) as stop:
        ConcurrentJobs([log.keeping("a"), hit, careful, log.keeping("d")], lambda: 4).run()
    assert stop.value.number == signal.SIGTERM
    kept = [f"{name} kept, StopError[15]" for name in "ad"]
    first = ["done first"] if is_undisturbed else []
    assert log == ["careful kept", *first, *kept]
