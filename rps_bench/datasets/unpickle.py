"""Reading an untrusted pickle of numpy arrays without running any code in it.

A pickle may name any function for the reader to call. This reader accepts only the few names that
arrays of numbers and byte strings need, and refuses all others.
"""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rps_bench.core.errors import UserError

LARGEST_FILE_BYTES = 1 << 29  # the largest official file has 155 MB

_NUMBERS = re.compile(r"[|<>=]?[biuf][1248]")
_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]  # numpy's function that makes empty arrays


def _make_dtype(code: str | bytes, align: int = 0, copy: int = 0) -> np.dtype[Any]:
    """A numpy.dtype; flags that Python 2 wrote as 0 and 1 become the bools numpy 2.4 needs."""
    name = code.decode() if isinstance(code, bytes) else code
    if not isinstance(name, str) or not _NUMBERS.fullmatch(name):
        raise pickle.UnpicklingError(f"it asks for arrays of {name!r}, not of numbers")
    return np.dtype(name, align=bool(align), copy=bool(copy))


def _encode(text: str, encoding: str) -> bytes:
    """The bytes that pickle protocols up to 2 store as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode(encoding)


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _make_dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,  # numpy 1
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # numpy 2
    ("_codecs", "encode"): _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no image file needs")
        return _ALLOWED[module, name]


def read_pickled_arrays(path: Path) -> dict[bytes, Any]:
    """The dict in a pickle written by Python 2, whose keys are bytes.

    Raises:
        UserError: The file is missing, is not such a pickle, or names anything but numpy arrays.
    """
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise pickle.UnpicklingError(f"more than {LARGEST_FILE_BYTES} bytes")
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="bytes").load()
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; unpack the official archive again") from error
    except Exception as error:  # a corrupt pickle raises nearly anything
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: truncated or corrupt pickle ({reason}); unpack the official archive again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a pickled dict, found {type(content).__name__}")
    return content
