"""What the processes of a command print, passed on line by line as the command's own lines."""

import sys
import threading

NOTICES = ("rps_bench: W&B: ",)  # on standard error: what each process finds out for itself


class Echo:
    """Passes on lines; what one process has said already, another does not say again.

    Nearly all lines name their run. Others tell what each process finds for itself, such as that
    there is no compiler.
    """

    def __init__(self) -> None:
        self._said: dict[str, int] = {}  # line -> the process that said it first
        self._lock = threading.Lock()

    def follow(self, descriptor: int, is_error: bool, process: int) -> threading.Thread:
        """Pass on all that comes through a pipe, in a thread that ends with the pipe.

        Args:
            descriptor: The reading end, which is closed in the end.
            is_error: Whether the lines go to standard error.
            process: Number of the process that writes.
        """
        arguments = descriptor, is_error, process
        thread = threading.Thread(target=self._pass_on, args=arguments, daemon=True)
        thread.start()
        return thread

    def _pass_on(self, descriptor: int, is_error: bool, process: int) -> None:
        with open(descriptor, encoding="utf-8", errors="surrogateescape") as pipe:
            for line in pipe:
                if self._is_news(line, is_error, process):
                    stream = sys.stderr if is_error else sys.stdout
                    stream.write(line)
                    stream.flush()

    def _is_news(self, line: str, is_error: bool, process: int) -> bool:
        if is_error and not line.startswith(NOTICES):  # such as a traceback, whole
            return True
        with self._lock:
            return self._said.setdefault(line, process) == process
