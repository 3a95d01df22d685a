"""Which run comes next, where several processes share the runs of a command."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from rps_bench.config import RunConfig

Place = tuple[str, str, str, str]  # of a run's record


class RunQueue:
    """The runs that are waiting and those that a process of this command is at.

    A run is held back while another of its training is at work: it would only wait for that. Who
    has nothing else to do may still try it, since levels of a chain are shared up to a point.

    Args:
        configs: All runs, in order.
        name_training: What runs that wait for each other have in common.
    """

    def __init__(
        self, configs: Sequence[RunConfig], name_training: Callable[[RunConfig], Hashable]
    ) -> None:
        self.waiting = list(configs)
        self._name_training = name_training
        self._at_work: Counter[Hashable] = Counter()
        self._resting: set[Place] = set()  # put off, and nothing has changed since
        self._insists = False

    @property
    def is_over(self) -> bool:
        """Whether no run is left, neither waiting nor at work."""
        return not self.waiting and self.num_at_work == 0

    @property
    def num_at_work(self) -> int:
        """Runs that processes of this command are at."""
        return self._at_work.total()

    def take(self) -> RunConfig | None:
        """The next run to try, None if there is none at the moment."""
        ready = [c for c in self.waiting if c.record_place not in self._resting]
        found = next((c for c in ready if not self._at_work[self._name_training(c)]), None)
        if found is None and self._insists:
            found = next(iter(ready), None)
        if found is not None:
            self.waiting.remove(found)
            self._at_work[self._name_training(found)] += 1
        return found

    def end(self, config: RunConfig) -> None:
        """A run that was taken is over: others may have waited for it."""
        self._leave(config)
        self._resting.clear()
        self._insists = False

    def put_off(self, config: RunConfig) -> None:
        """A run that was taken is another process's at the moment; it comes last."""
        self._leave(config)
        self.waiting.append(config)
        self._resting.add(config.record_place)

    def give_back(self, config: RunConfig) -> None:
        """A run that was taken was not finished; it comes first."""
        self._leave(config)
        self.waiting.insert(0, config)

    def look_again(self) -> None:
        """Let every waiting run be tried once, also those that were put off or held back."""
        self._resting.clear()
        self._insists = True

    def _leave(self, config: RunConfig) -> None:
        self._at_work[self._name_training(config)] -= 1
