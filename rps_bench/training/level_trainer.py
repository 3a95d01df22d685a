"""Rounds of the ordinary loop: train, compress what training gave, rewind, train again.

A method that compresses before training has one level and gets one round. States are kept after
every epoch and amid long ones, and shared levels when they are trained, so that a killed chain goes
on and compressions share it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from rps_bench.engine.threads import steadied
from rps_bench.methods.compressed import CompressedModel, restore
from rps_bench.methods.levels import Level, Rewinding
from rps_bench.methods.map_state import KEY, differ_in_mask_only
from rps_bench.methods.selection import store_everything
from rps_bench.training.chain import Chain, Unretrained
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.evaluation import evaluate
from rps_bench.training.loop import Trainer, Training
from rps_bench.training.progress import Progress
from rps_bench.training.state import Outcome, TrainingState

# (the untrained dense network, what a level has trained, m of the next) -> what the next trains
CompressTrained = Callable[[nn.Module, CompressedModel, int], CompressedModel]


@dataclass
class LevelTrainer:
    """Trains a chain of levels, each from what the one before it gave.

    Attributes:
        start: What the first level trains, on the device to train on; changed in place.
        dense: The untrained network that it was made from, on the same device.
        levels: From the first to the one that is wanted.
        rewinding: Where levels after the first start; None if there are none.
        compress: Makes of what a level has trained what the next one trains.
        training: What to train on and how; the same for every level.
        files: Where finished levels and unfinished states lie.
        progress: Called back now and then.
        checkpoint_seconds: Between states that are kept amid an epoch; None: after epochs only.
        trained: The network of the level done last, once it is at hand.

    Raises:
        UserError: The iteration to rewind to is not within the training.
    """

    start: CompressedModel
    dense: nn.Module
    levels: tuple[Level, ...]
    rewinding: Rewinding | None
    compress: CompressTrained
    training: Training
    files: Checkpoints
    progress: Progress
    checkpoint_seconds: float | None = None
    trained: CompressedModel | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.first_step = 0
        if self.rewinding is not None:
            self.first_step = self.rewinding.resolve_step(self.training.num_steps)
        self.restores_weights = self.rewinding is not None and self.rewinding.restores_weights

    def run(self) -> Chain:
        """Train what the files lack; return the whole chain.

        Raises:
            InUseError: Another process trains a level that is needed.
        """
        outcomes: list[Outcome] = []
        unretrained: Unretrained | None = None
        for level in self.levels:
            is_asked = level.number == 0 and self._compresses_trained
            wants_model = is_asked or level is self.levels[-1]
            outcomes.append(self._finish(level, wants_model))
            if outcomes[-1].divergence:
                break
            if is_asked:
                unretrained = self._evaluate_unretrained()
        # A chain that diverged on its way has no network of the size that was asked for. An
        # untrained one stands in, so that its record can still tell the sizes.
        is_whole = len(outcomes) == len(self.levels)
        model = self.trained if is_whole else self._compress_untrained()
        assert model is not None
        return Chain(
            model,
            self.levels,
            tuple(outcomes),
            self.first_step,
            self.training.steps_per_epoch,
            unretrained,
        )

    def _finish(self, level: Level, wants_model: bool) -> Outcome:
        """Finish a level, from its files or by training it now; return what it gave.

        Its network is at hand afterwards if it was trained now or is wanted.
        """
        with self.files.at_work_on(level):
            # Another compression, or this command before it was killed, may have trained the level.
            outcome = self.files.finished(level) if level.is_shared else None
            if outcome is not None and (level.number > 0 or self._has_rewind_state(outcome)):
                self.files.discard_partial(level)  # which a kill may have left
                self.trained = self._load(level) if wants_model else None
                if self.trained is not None or not wants_model:
                    return outcome
            # It has to be trained, from where it was left if it was begun.
            model, state = (self.start, None) if level.number == 0 else self._begin(level)
            model, unfinished = self._resume(level, model)
            self.progress.show_level(level.number, self.levels[-1].number, level.num_kept)
            states = _LevelStates(
                self.files,
                level,
                self.first_step if self._takes_snapshot(level) else None,
                self.checkpoint_seconds,
            )
            trainer = Trainer(model, self.training, self.progress, states)
            self.trained, outcome = model, trainer.train(unfinished or state)
            if level.is_shared:
                self.files.finish(level, model, outcome)
            return outcome

    def _takes_snapshot(self, level: Level) -> bool:
        """Whether later levels start from a state that this one passes."""
        return level.number == 0 and self.restores_weights

    def _has_rewind_state(self, outcome: Outcome) -> bool:
        """Whether a finished first level left what the others start from, if they need it."""
        needs_none = not self.restores_weights or outcome.divergence is not None
        return needs_none or self._rewind_state() is not None

    def _rewind_state(self) -> TrainingState | None:
        steps = range(self.first_step, self.first_step + 1)
        return self.files.rewind_state(lambda state: state.require_fit(self.start, steps))

    def _load(self, level: Level) -> CompressedModel | None:
        """A finished level's network, None if its file is gone."""
        model = self.files.model(level, self.dense)
        return model and model.to(self.start.stored.device)

    def _resume(
        self, level: Level, model: CompressedModel
    ) -> tuple[CompressedModel, TrainingState | None]:
        """The network that a level was left with, and its state; None if it has to begin.

        Scores round differently on another machine. A mask chosen before training is therefore
        taken from the state that was trained with it, not from today's scores.
        """
        steps = range(self.training.num_steps)
        networks = [model]

        def require(state: TrainingState) -> None:
            own, kept = model.get_extra_state(), state.tensors.get(KEY)
            if level.number == 0 and differ_in_mask_only(own, kept):
                networks.append(restore(self.dense, state.tensors))
            state.require_fit(networks[-1], steps)

        unfinished = self.files.partial(level, require)
        if unfinished is None:
            return model, None
        # Past the rewinding step the level can go on only where the snapshot was kept: without it,
        # the levels after it would have nothing to start from.
        is_past = self._takes_snapshot(level) and unfinished.step > self.first_step
        if is_past and self._rewind_state() is None:
            return model, None
        return networks[-1], unfinished

    def _begin(self, level: Level) -> tuple[CompressedModel, TrainingState]:
        """The network of a level after the first, and the state that it starts from."""
        if self.trained is None:
            self._finish(self.levels[level.number - 1], wants_model=True)
        trained = self.trained
        assert trained is not None
        # What is stored is decided by the trained values, at all rewindings.
        model = self._compress(trained, level)
        if not self.restores_weights:
            # The weights stay as trained, only the schedule goes back; momentum starts anew.
            return model, TrainingState(self.first_step, _join_tensors(trained, model), {})
        # All goes back, momentum too: the snapshot's numbers of the weights that are left.
        state = self._rewind_state()
        assert state is not None
        kept = (model.weight_map.slots() >= 0).nonzero().view(-1)
        return model, state.rewound(kept.cpu(), model.get_extra_state())

    def _compress(self, trained: CompressedModel, level: Level) -> CompressedModel:
        """What a level trains, with the bits of one thread, as steps have them."""
        with steadied(self.training.kernels):
            return self.compress(self.dense, trained, level.num_kept)

    def _compress_untrained(self) -> CompressedModel:
        """An untrained network of the last level's size."""
        return self._compress(store_everything(self.dense), self.levels[-1])

    @property
    def _compresses_trained(self) -> bool:
        """Whether the trained weights themselves are compressed, and go back nowhere."""
        return len(self.levels) > 1 and not self.restores_weights

    def _evaluate_unretrained(self) -> Unretrained:
        """The first level's network compressed at once to the last level's size, as it is then."""
        trained = self.trained
        assert trained is not None
        model = self._compress(trained, self.levels[-1])
        model.load_state_dict(_join_tensors(trained, model))
        found = evaluate(model, self.training.dataset, self.training.precision)
        return Unretrained(model, found)


def _join_tensors(trained: CompressedModel, model: CompressedModel) -> dict[str, torch.Tensor]:
    """The state of one network with the trained tensors of another beside its weights."""
    own = {"stored": model.stored, KEY: model.get_extra_state()}
    joined = trained.state_dict() | own
    return {name: tensor.detach().cpu().clone() for name, tensor in joined.items()}


@dataclass
class _LevelStates:
    """A `StateKeeper` that keeps a level's states in its files."""

    files: Checkpoints
    level: Level
    snapshot_step: int | None
    checkpoint_seconds: float | None

    def __post_init__(self) -> None:
        self.kept_at = time.monotonic()

    @property
    def is_checkpoint_due(self) -> bool:
        if self.checkpoint_seconds is None:
            return False
        return time.monotonic() - self.kept_at >= self.checkpoint_seconds

    def keep_snapshot(self, state: TrainingState) -> None:
        self.files.keep_rewind_state(state)

    def keep_checkpoint(self, state: TrainingState) -> None:
        self.files.keep_partial(self.level, state)
        self.kept_at = time.monotonic()
