"""The C library's free memory: kept from step to step, given back between runs. glibc only.

Every training step frees what the next one takes again. By default glibc returns large blocks to
the system and gets them back page by page: that costs a tenth of a ResNet-20 step, and step times
vary with the layout of the heap.
"""

import ctypes
import gc
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep freed memory; other C libraries are left as they are."""
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, 2**30)
        any(library.mallopt(M_MMAP_THRESHOLD, size) for size in (2**30, 2**25))  # 1: accepted


def return_freed_memory() -> None:
    """Give all freed memory back to the system."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
