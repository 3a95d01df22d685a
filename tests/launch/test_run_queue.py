"""Which run a free process gets: one that waits for nobody, if there is any."""

import pytest

from rps_bench.config import RunConfig
from rps_bench.launch.run_queue import RunQueue
from rps_bench.sweep.planning import plan_runs


@pytest.fixture
def queue() -> RunQueue:
    """Two runs of a chain, then two others."""
    words = ["method=ltr,mag", "compression=2,4", "device=cpu"]
    configs = plan_runs(words, is_sweep=True).configs
    return RunQueue(configs, lambda c: "chain" if c.method == "ltr" else c.run_id)


def name(config: RunConfig | None) -> str | None:
    return None if config is None else f"{config.method}-{config.compression:g}"


def take(queue: RunQueue) -> RunConfig:
    config = queue.take()
    assert config is not None
    return config


def test_a_run_of_a_chain_at_work_is_held_back(queue: RunQueue) -> None:
    first, *others = (take(queue) for _ in range(3))
    assert [name(first), *map(name, others)] == ["ltr-2", "mag-2", "mag-4"]
    assert queue.take() is None
    queue.end(first)
    assert name(queue.take()) == "ltr-4"


def test_it_is_tried_after_a_pause(queue: RunQueue) -> None:
    for _ in range(3):
        take(queue)
    queue.look_again()
    second = take(queue)
    assert name(second) == "ltr-4"
    queue.put_off(second)
    assert queue.take() is None  # once in a pause
    queue.look_again()
    assert queue.take() == second


def test_a_run_of_another_process_comes_last_and_once_in_a_pause(queue: RunQueue) -> None:
    first = take(queue)
    queue.put_off(first)
    assert [name(queue.take()) for _ in range(3)] == ["ltr-4", "mag-2", "mag-4"]
    assert queue.take() is None
    assert (queue.num_at_work, queue.waiting) == (3, [first])


def test_an_end_lets_all_be_tried(queue: RunQueue) -> None:
    first, second = take(queue), take(queue)
    queue.put_off(first)
    queue.end(second)
    assert [name(queue.take()) for _ in range(3)] == ["ltr-4", "mag-4", None]
    assert queue.waiting == [first]


def test_what_a_dead_process_leaves_comes_first(queue: RunQueue) -> None:
    first = take(queue)
    queue.give_back(first)
    assert queue.take() == first


def test_the_end(queue: RunQueue) -> None:
    taken: list[RunConfig] = []
    while (config := queue.take()) is not None or taken:
        if config is None:
            assert not queue.is_over
            queue.end(taken.pop())
        else:
            taken.append(config)
    assert queue.is_over
