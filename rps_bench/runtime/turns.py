"""Taking turns: how runs that train at once in one thread let each other go on.

A run alone has no turn, and nothing here costs it anything. Who has one, and when, is decided by
``launch/concurrent.py``.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass

Lane = Callable[[], AbstractContextManager[object]]  # makes contexts to be in during each turn


@dataclass
class Turn:
    """What a run knows of those it takes turns with.

    Attributes:
        give_way: Lets the others go on; returns when it is this run's turn again.
        num_alive: Runs that take turns now, this one included.
        most_at_once: The most runs that trained at the same time while this one did.
        is_crowded: Set by a run that lacked memory beside the others: fewer are to go on.
    """

    give_way: Callable[[], object]
    num_alive: int = 1
    most_at_once: int = 1
    is_crowded: bool = False


OWN_TURN: ContextVar[Turn | None] = ContextVar("OWN_TURN", default=None)


def let_others() -> None:
    """Let the runs that train beside this one go on; a run alone goes on at once.

    Call it where the run is about to wait for its device. The others run in the same thread, so
    never inside ``undisturbed``, ``autocast``, ``inference_mode``, ``no_grad``, a stream or the
    capture of a graph: they would be inside it too. Any KeyboardInterrupt may be raised from here.
    """
    turn = OWN_TURN.get()
    if turn is not None:
        turn.give_way()


def count_alive() -> int:
    """How many runs take turns now, this one included."""
    turn = OWN_TURN.get()
    return 1 if turn is None else turn.num_alive


def most_at_once() -> int:
    """The most runs that trained at the same time while this one did, 1 for a run alone."""
    turn = OWN_TURN.get()
    return 1 if turn is None else turn.most_at_once


def ask_for_room() -> bool:
    """Ask that fewer runs train at once when this one has ended.

    Returns:
        Whether that can help; False for a run that is alone.
    """
    turn = OWN_TURN.get()
    if turn is None or turn.num_alive == 1:
        return False
    turn.is_crowded = True
    return True
