"""Peak memory, in a child process whose memory nobody else uses."""

import json
import subprocess
import sys

import pytest
import torch

from rps_bench.costs.memory import peak_memory_bytes

BLOCK = 200_000_000  # bytes

SCRIPT = f"""
import json, torch
from rps_bench.runtime.allocator import keep_freed_memory
from rps_bench.costs.memory import peak_memory_bytes, reset_peak_memory
cpu = torch.device("cpu")
peaks = {{}}
keep_freed_memory()
reset_peak_memory(cpu)
peaks["start"] = peak_memory_bytes(cpu)
block = torch.full(({BLOCK},), 7, dtype=torch.uint8)
peaks["held"] = peak_memory_bytes(cpu)
del block
peaks["freed"] = peak_memory_bytes(cpu)
reset_peak_memory(cpu)
peaks["reset"] = peak_memory_bytes(cpu)
try:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    peaks["resettable"] = True
except OSError:
    peaks["resettable"] = False
print(json.dumps(peaks))
"""


@pytest.fixture(scope="module")
def peaks() -> dict[str, int]:
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    result: dict[str, int] = json.loads(child.stdout)
    return result


def test_the_peak_is_in_bytes_and_positive() -> None:
    # A process that imported torch holds tens of megabytes, and less than a terabyte.
    assert 20_000_000 < peak_memory_bytes(torch.device("cpu")) < 10**12


def test_the_peak_grows_by_what_is_touched(peaks: dict[str, int]) -> None:
    assert 0.99 * BLOCK < peaks["held"] - peaks["start"] < 1.1 * BLOCK


def test_the_peak_stays_when_the_memory_is_freed(peaks: dict[str, int]) -> None:
    assert peaks["freed"] > peaks["held"] - 0.05 * BLOCK  # the kernel counts in strides


def test_a_reset_forgets_the_peak(peaks: dict[str, int]) -> None:
    if not peaks["resettable"]:
        pytest.skip("this system does not let a process forget its peak")
    assert peaks["reset"] < peaks["held"] - 0.9 * BLOCK
