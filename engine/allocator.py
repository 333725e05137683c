"""Keeps the memory of one training step for the next one, on CPUs under glibc.

glibc maps every large block anew and unmaps it when it is freed, so a step's activations are
faulted in page by page in each step, which costs as much as its arithmetic. A GPU has PyTorch's
caching allocator for that; a CPU has none.
"""

from __future__ import annotations

import ctypes
import os
import platform

import torch

# The parameters' numbers are from glibc's malloc.h, their meaning from mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_VARIABLES = ("TRIM_THRESHOLD_", "TOP_PAD_", "MMAP_THRESHOLD_", "MMAP_MAX_")
_NEVER = 2**31 - 1
_MARGIN = 64 * 2**20


def keep_freed_memory() -> bool:
    """Makes this process and those that it forks reuse large blocks instead of returning them.

    Memory that a process has once used then stays with it until it ends. Nothing happens where
    there is a GPU, where the C library is not glibc, or where a variable of mallopt(3), such as
    ``MALLOC_TRIM_THRESHOLD_``, or GLIBC_TUNABLES says what the user wants.

    Returns:
        Whether it does.
    """
    said = any(f"MALLOC_{name}" in os.environ for name in _VARIABLES)
    said |= "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
    if torch.cuda.is_available() or said or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_M_MMAP_THRESHOLD: _NEVER, _M_TRIM_THRESHOLD: _NEVER, _M_TOP_PAD: _MARGIN}
    return all(mallopt(name, value) for name, value in settings.items())
