"""The C library's free memory: kept from step to step, given back between runs. glibc only.

Every training step frees what the next one takes again. Unless told otherwise, glibc gives large
pieces back to the system and takes them again page by page: a tenth of a ResNet-20 step, and times
that differ with how the heap happens to lie.
"""

import ctypes
import gc
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def keep_freed_memory() -> None:
    """Let the C library keep what is freed; elsewhere nothing is changed."""
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, 2**30)
        any(library.mallopt(M_MMAP_THRESHOLD, size) for size in (2**30, 2**25))  # 1: accepted


def return_freed_memory() -> None:
    """Give everything that is free back to the system."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
