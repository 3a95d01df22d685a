"""Why a run ended badly, in one line: what happened, its usual cause, and what helps."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from rps_bench.config import RunConfig
from rps_bench.core.errors import ExplainedError

STEADY_SCALINGS = ("gram", "squared_mean")  # their stable learning rates ask for no init std

# What PyTorch's allocators, the C++ library, cuBLAS and cuDNN say when memory is short.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "ALLOC_FAILED",
)
_AMOUNT = re.compile(r"(?:tried|unable) to allocate ([\d.]+ ?[A-Za-z]+)", re.IGNORECASE)
_NOT_REPEATABLE = re.compile(r"(\S.*?) does not have a deterministic implementation")


def explain_divergence(where: str, config: RunConfig) -> str:
    """Where a training diverged, and the usual cause: of sharing methods, their scaling."""
    rate = f"recipe.lr={config.recipe.lr:g}"
    scaling = config.method_options.get("scaling")
    if scaling is None or scaling in STEADY_SCALINGS:
        return f"{where}; usual cause: the learning rate, {rate}"
    return (
        f"{where}; usual cause: method.scaling={scaling} with "
        f"method.init_std={config.method_options['init_std']:g} at {rate}; "
        f"{' and '.join(STEADY_SCALINGS)} do not depend on init_std"
    )


@contextmanager
def explained_failures(config: RunConfig) -> Iterator[None]:
    """Turn a failure of known cause into one line; all others pass as they are.

    Raises:
        ExplainedError: Out of memory, or ``deterministic=true`` met what it forbids.
    """
    try:
        yield
    except Exception as error:
        reason = explain_failure(error, config)
        if reason is None:
            raise
        raise ExplainedError(reason) from error


def explain_failure(error: Exception, config: RunConfig) -> str | None:
    """The reason of a failure of known cause in one line, None for any other."""
    if is_out_of_memory(error):
        return _explain_memory(str(error), config)
    operation = _NOT_REPEATABLE.search(str(error)) if isinstance(error, RuntimeError) else None
    if operation is None:
        return None
    return (
        f"deterministic=true: {operation[1]} has no deterministic form; deterministic=false runs it"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed: of Python, NumPy, PyTorch on any device, or the system."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    says_so = any(words in str(error) for words in _OUT_OF_MEMORY)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and says_so)


def _explain_memory(text: str, config: RunConfig) -> str:
    amount = _AMOUNT.search(text)
    missing = f"{amount[1]} more could not be had" if amount else "no more could be had"
    smaller = f"a smaller recipe.batch_size than {config.recipe.batch_size}"
    if config.compute.runs_per_gpu > 1:
        smaller += f" or a smaller runs_per_gpu than {config.compute.runs_per_gpu}"
    return f"out of memory: {missing}; {smaller} takes less"
