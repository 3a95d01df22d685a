"""A process that does runs, alone: how it hears that it is to leave."""

import os
import subprocess
import sys
from multiprocessing import Pipe

from tests.patience import PATIENCE_SECONDS

# The signal that asks it to stop comes just before it waits for a run, and wakes nobody.
DEAF = """
import signal, sys
from rps_bench.launch import worker
signal.pthread_kill = lambda thread, number: None
worker.main(sys.argv[1])
"""


def test_a_process_that_misses_the_signal_leaves_all_the_same() -> None:
    ours, theirs = Pipe()
    passed = [theirs.fileno(), os.dup(1), os.dup(2)]
    with subprocess.Popen(
        [sys.executable, "-c", DEAF, ",".join(map(str, passed))],
        pass_fds=passed,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        theirs.close()
        for copy in passed[1:]:
            os.close(copy)
        assert ours.recv() is None  # it listens
        ours.send(None)
        assert process.wait(PATIENCE_SECONDS) == 0
    ours.close()
