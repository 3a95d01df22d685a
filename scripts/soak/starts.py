"""Starting a process: as a fork of this one, or fresh.

Most are forks of this process, which has imported everything, so that a kill hits the work rather
than the seconds of imports.
"""

import faulthandler
import io
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

# Modules that the work imports late are imported here, before forks.
import PIL.Image  # noqa: F401
import pyarrow.parquet  # noqa: F401

import rps_bench.run  # noqa: F401
from scripts.soak.child import stack_path

FRESH = """
import faulthandler, runpy, signal, sys
faulthandler.register(signal.SIGUSR1, open(sys.argv.pop(1), "w"), all_threads=False)
runpy.run_module("rps_bench", run_name="__main__", alter_sys=True)
"""


def start_fresh(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """Start `python -m rps_bench WORDS` in the folder of its output; return the process id."""
    command = [sys.executable, "-c", FRESH, str(stack_path(log)), *words]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}  # it imports the same modules as this one
    with log.open("w") as file:
        return subprocess.Popen(
            command, cwd=log.parent, stdout=file, stderr=file, env={**environment, **paths}
        ).pid


def start_fork(
    call: Callable[[], Any],
    words: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    deadly: int | None,
) -> int:
    """Fork this process for a call in the folder of its output; return the process id.

    Args:
        call: The function to run; it finds the words in ``sys.argv``.
        words: Words of the command.
        log: File of its output.
        environment: Its environment variables.
        deadly: Number of the write at which it kills itself, None for never.
    """
    if (pid := os.fork()) == 0:
        os.environ.update(environment)
        _work(call, words, log, deadly)
    return pid


def _work(call: Callable[[], Any], words: Sequence[str], log: Path, deadly: int | None) -> NoReturn:
    """Run the call in a fork, and exit."""
    status: Any = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        faulthandler.register(signal.SIGUSR1, stack_path(log).open("w"), all_threads=False)
        os.chdir(log.parent)
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", 0), write_through=True)
                                  for n in (1, 2))  # fmt: skip
        sys.argv = ["rps_bench", *words]
        if deadly is not None:
            _die_at_write(deadly)
        status = call()
    except SystemExit as leaving:
        status = leaving.code
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        os._exit(status or 0)


def _die_at_write(deadly: int) -> None:
    """Let this process kill itself before or after its n-th sync or rename."""
    count = 0

    def mortal(change: Callable[..., Any]) -> Callable[..., Any]:
        def change_or_die(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == deadly and deadly % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = change(*arguments)
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return change_or_die

    os.replace, os.fsync = mortal(os.replace), mortal(os.fsync)
