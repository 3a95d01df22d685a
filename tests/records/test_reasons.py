"""What went wrong, in one line that names the usual cause and what helps."""

import errno

import numpy as np
import pytest
import torch

from rps_bench.config import RunConfig
from rps_bench.core.errors import ExplainedError, UserError, describe_failure
from rps_bench.records.reasons import explain_divergence, explain_failure, explained_failures
from rps_bench.sweep.planning import plan_runs

CUDA = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB of "
    "which 1.00 GiB is free.\nSee documentation for Memory Management"
)
CPU = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"
)
NUMPY = "Unable to allocate 7.28 TiB for an array with shape (1000000000000,)"


NO_MORE = "no more could be had"


def config(words: str = "") -> RunConfig:
    (config,) = plan_runs(words.split(), is_sweep=False).configs
    return config


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (torch.OutOfMemoryError(CUDA), "2.50 GiB more could not be had"),
        (RuntimeError(CPU), "40000000000 bytes more could not be had"),
        (MemoryError(NUMPY), "7.28 TiB more could not be had"),
        (MemoryError(), NO_MORE),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), NO_MORE),
        (
            RuntimeError("CUDA error: out of memory\nCUDA kernel errors might"),
            NO_MORE,
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
            NO_MORE,
        ),
        (RuntimeError("std::bad_alloc"), NO_MORE),
    ],
)
def test_out_of_memory(error: Exception, what: str) -> None:
    assert explain_failure(error, config()) == (
        f"out of memory: {what}; a smaller recipe.batch_size than 64 takes less"
    )


def test_numpys_own_error_is_known() -> None:
    with pytest.raises(ExplainedError, match=r"out of memory: 8[.]00 EiB more could not be had"):
        allocate_with_numpy()


def allocate_with_numpy() -> None:
    with explained_failures(config()):
        np.empty(2**60 - 1, dtype=np.float64)


def test_several_runs_on_a_gpu_are_a_cause() -> None:
    reason = explain_failure(torch.OutOfMemoryError(CUDA), config("gpus=[0] runs_per_gpu=3"))
    assert reason is not None
    assert reason.endswith(
        "a smaller recipe.batch_size than 64 or a smaller runs_per_gpu than 3 takes less"
    )


def test_an_operation_that_is_not_repeatable() -> None:
    error = RuntimeError(
        "kthvalue CUDA does not have a deterministic implementation, but you set "
        "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for"
    )
    assert explain_failure(error, config()) == (
        "deterministic=true: kthvalue CUDA has no deterministic form; deterministic=false runs it"
    )


@pytest.mark.parametrize(
    "error", [RuntimeError("size mismatch"), OSError(errno.ENOSPC, "full"), UserError("no images")]
)
def test_anything_else_passes_as_it_is(error: Exception) -> None:
    assert explain_failure(error, config()) is None
    with pytest.raises(type(error)) as caught, explained_failures(config()):
        raise error
    assert caught.value is error


def test_a_failure_in_one_line() -> None:
    assert describe_failure(RuntimeError("first\nsecond")) == "RuntimeError: first"
    assert describe_failure(ValueError()) == "ValueError: "
    assert describe_failure(ExplainedError("out of memory: a")) == "out of memory: a"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("method=mag recipe.lr=30", "the learning rate, recipe.lr=30"),
        ("method=dense", "the learning rate, recipe.lr=0.1"),
        ("method=stable_rps recipe.lr=30", "the learning rate, recipe.lr=30"),
        ("method=roast method.scaling=squared_mean", "the learning rate, recipe.lr=0.1"),
        (
            "method=stable_rps method.scaling=none method.init_std=1e-6",
            "method.scaling=none with method.init_std=1e-06 at recipe.lr=0.1; "
            "gram and squared_mean do not depend on init_std",
        ),
        (
            "method=hashednet",
            "method.scaling=none with method.init_std=0.04 at recipe.lr=0.1; "
            "gram and squared_mean do not depend on init_std",
        ),
    ],
)
def test_divergence_names_its_usual_cause(words: str, cause: str) -> None:
    reason = explain_divergence("level 1 of 2: loss not finite", config(words))
    assert reason == f"level 1 of 2: loss not finite; usual cause: {cause}"
