"""Reading a stranger's pickle of numpy arrays without running any code it may carry.

A pickle may name any function for the reader to call. This reader knows four names, all of them
needed for arrays of numbers and byte strings, and refuses the rest.
"""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rps_bench.errors import UserError

LARGEST_FILE_BYTES = 1 << 29  # the largest of the official ones has 155 MB

_NUMBERS = re.compile(r"[|<>=]?[biuf][1248]")
_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]  # numpy's own maker of empty arrays


def _make_dtype(code: str | bytes, align: int = 0, copy: int = 0) -> np.dtype[Any]:
    """numpy.dtype, with the flags Python 2 wrote as 0 and 1 turned into what numpy 2.4 asks for."""
    name = code.decode() if isinstance(code, bytes) else code
    if not isinstance(name, str) or not _NUMBERS.fullmatch(name):
        raise pickle.UnpicklingError(f"it asks for arrays of {name!r}, not of numbers")
    return np.dtype(name, align=bool(align), copy=bool(copy))


def _encode(text: str, encoding: str) -> bytes:
    """How protocols up to 2 write bytes."""
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
    """A pickled dict whose keys are bytes, as Python 2 wrote it.

    Raises:
        UserError: The file is missing, is no such pickle, or names anything but numpy arrays.
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
