"""Counts of a soak: rounds, kills and mismatches."""

import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Counts:
    """The counts so far, and the mismatches in words."""

    kills: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    rounds: Counter[str] = field(default_factory=Counter)
    num_recorded: int = 0
    num_redone: int = 0
    slowest_leave_seconds: float = 0.0
    mismatches: list[str] = field(default_factory=list)

    def add_kill(self, number: int, place: str) -> None:
        """Count a signal that ended a process, and what the process was doing."""
        self.kills[signal.Signals(number).name] += 1
        self.places[place] += 1

    def add_mismatch(self, folder: Path, text: str) -> None:
        """Note and print something that must not happen, in the folder of a round."""
        self.mismatches.append(f"{folder.name}: {text}")
        print(self.mismatches[-1], flush=True)

    def has_mismatch_in(self, folder: Path) -> bool:
        """Whether anything differed in the folder of a round."""
        return any(text.startswith(f"{folder.name}:") for text in self.mismatches)

    def show(self) -> None:
        """Print all counts."""
        print(f"rounds: {_listed(self.rounds)}")
        print(f"kills survived: {self.kills.total()} ({_listed(self.kills)})")
        print(f"killed while: {_listed(self.places)}")
        print(f"runs recorded: {self.num_recorded}; epochs done again: {self.num_redone}")
        print(f"slowest clean leave: {self.slowest_leave_seconds:.2f} s")
        print(f"mismatches: {len(self.mismatches)}", *self.mismatches, sep="\n  ")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.most_common())
