"""What all commands share: how they end, and output that survives the loss of its reader.

Training goes on for hours. Meanwhile the program that reads the output may end (``head``), the
terminal may close, or the disk may fill up. The work goes on: the rest of the output is dropped, as
Python's documentation advises for a broken pipe (the descriptor is pointed at the null device;
SIGPIPE's default action would end the process during a write to any socket), and the command ends
with the status of its work. That becomes 1 if output was lost for any reason but a closed pipe.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TextIO, cast

from rps_bench.core.errors import UserError, explain, status_of

P = ParamSpec("P")
NAMES = ("stdout", "stderr")


class LastingStream:
    """A text stream whose writes never fail: after a first failure all writes are dropped.

    Attributes:
        loss: The error of the first failed write, None if there was none.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.loss: OSError | None = None

    def write(self, text: str) -> int:
        """Write or drop the text; returns the number of its characters."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Pass on what is buffered, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def writelines(self, lines: Iterator[str]) -> None:
        """Write or drop each line."""
        for line in lines:
            self.write(line)

    def _drop(self, error: OSError) -> None:
        self.loss = self.loss or error
        # At the descriptor, so that writes of libraries below Python are dropped, too.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def outliving_readers() -> Iterator[tuple[LastingStream, ...]]:
    """A context in which no write to standard output or error fails; gives the two streams."""
    before = [getattr(sys, name) for name in NAMES]
    with open(os.devnull, "w") as nowhere:  # for a stream that was closed at the start
        streams = tuple(LastingStream(stream or nowhere) for stream in before)
        for name, stream in zip(NAMES, streams, strict=True):
            setattr(sys, name, cast(TextIO, stream))
        try:
            yield streams
        finally:
            for name, stream, old in zip(NAMES, streams, before, strict=True):
                stream.flush()
                setattr(sys, name, old)


def command(main: Callable[P, int]) -> Callable[P, int]:
    """Make a function that returns an exit status the entry point of a command.

    A UserError or an OSError ends the command with one line and the status of `status_of`.
    """

    @wraps(main)
    def door(*args: P.args, **kwargs: P.kwargs) -> int:
        with outliving_readers() as streams:
            try:
                status = main(*args, **kwargs)
            except (UserError, OSError) as error:
                show_error(error)
                status = status_of(error)
            sys.stdout.flush()
            loss = streams[0].loss
            if loss is None or loss.errno == errno.EPIPE:
                return status
            what = f"not all was printed ({loss.strerror})"
            show_error(OSError(loss.errno, what, "standard output"))
            return max(status, status_of(loss))

    return door


def show_error(error: UserError | OSError) -> None:
    """Print an error as one line on standard error."""
    print(f"rps_bench: error: {explain(error)}", file=sys.stderr, flush=True)
