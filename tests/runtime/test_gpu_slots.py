"""GPU slots: so many runs on each GPU, empty GPUs first, given back by dead processes."""

import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from rps_bench.runtime import gpu_slots
from rps_bench.runtime.gpu_slots import gpu_slot


def test_empty_gpus_are_filled_first(tmp_path: Path) -> None:
    with ExitStack() as stack:
        taken = [stack.enter_context(gpu_slot([0, 3], 2, tmp_path)) for _ in range(4)]
    assert taken == ["cuda:0", "cuda:3", "cuda:0", "cuda:3"]


def test_a_full_machine_makes_the_next_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_slots, "POLL_SECONDS", 0.01)
    devices: list[str] = []

    def take() -> None:
        with gpu_slot([5], 1, tmp_path) as device:
            devices.append(device)

    with gpu_slot([5], 1, tmp_path):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(0.2)
        assert devices == []
    thread.join()
    assert devices == ["cuda:5"]


def test_a_killed_process_gives_its_slot_back(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from rps_bench.runtime.gpu_slots import gpu_slot\n"
        "with gpu_slot([0], 1, Path(sys.argv[1])): print('held', flush=True); signal.pause()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == "held\n"
        process.kill()
        process.wait()
        with gpu_slot([0], 1, tmp_path) as device:
            assert device == "cuda:0"
