"""Processes that keep cores busy and end with the process that started them, however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

# The pipe is closed when the other side leaves the block or dies, even by SIGKILL.
PROGRAM = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started this
def watch():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
print(flush=True)
while True:
    pass
"""


@contextmanager
def busy_processes(count: int) -> Iterator[list[int]]:
    """A context in which `count` busy processes run; gives their ids."""
    with ExitStack() as stack:
        yield [stack.enter_context(_busy_process()) for _ in range(count)]


@contextmanager
def _busy_process() -> Iterator[int]:
    words = [sys.executable, "-I", "-S", "-c", PROGRAM]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
            yield process.pid
        finally:
            process.kill()
