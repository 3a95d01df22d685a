"""Who lives is waited for, who does not is given up on: counted in looks, not in seconds."""

import os
import threading
from pathlib import Path

import pytest

from rps_bench.tracking.relay import vital_signs
from rps_bench.tracking.relay.vital_signs import LOOK_SECONDS, Heart, wait_while_alive


class Patient:
    """A process that lives for some looks, and touches its folder at some of them."""

    def __init__(self, folder: Path, num_looks: int, beat_every: int) -> None:
        self.folder, self.num_looks, self.beat_every, self.looks = folder, num_looks, beat_every, 0

    def has_ended(self, seconds: float) -> bool:
        self.looks += 1
        if self.looks % self.beat_every == 0:
            os.utime(self.folder, ns=(self.looks, self.looks))
        return self.looks > self.num_looks


def test_a_slow_process_is_waited_for_however_long_it_takes(tmp_path: Path) -> None:
    patient = Patient(tmp_path, num_looks=100_000, beat_every=7)
    assert wait_while_alive(patient.has_ended, tmp_path, longest=8 * LOOK_SECONDS)
    assert patient.looks == 100_001


def test_one_without_a_sign_of_life_is_given_up_on(tmp_path: Path) -> None:
    patient = Patient(tmp_path, num_looks=100_000, beat_every=10**9)
    assert not wait_while_alive(patient.has_ended, tmp_path, longest=8 * LOOK_SECONDS)
    assert patient.looks == 8


def test_a_heart_stops_without_steps_and_goes_on_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[Path] = []
    has_beaten = threading.Semaphore(0)

    def beat(folder: Path) -> None:
        beats.append(folder)
        has_beaten.release()

    monkeypatch.setattr(vital_signs, "BEAT_SECONDS", 0.001)
    monkeypatch.setattr(vital_signs, "BEATS_PER_STEP", 3)
    monkeypatch.setattr("os.utime", beat)
    with Heart(tmp_path) as heart:
        for _ in range(3):
            has_beaten.acquire()
        assert len(beats) == 3  # and no more come
        heart.step()
        for _ in range(3):
            has_beaten.acquire()
    assert beats == [tmp_path] * 6
