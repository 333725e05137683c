import platform
import subprocess
import sys

import pytest

# Counts the pages that are faulted in by steps of the same allocations, after some to settle.
FAULTS = """
import resource
import torch
from engine.allocator import keep_freed_memory

if {keep}:
    print(keep_freed_memory())
torch.set_num_threads(1)
for step in range(12):
    if step == 8:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(size * 2**18) for size in (8, 40)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES_A_STEP = 48 * 2**20 // 4096


def printed(keep, **variables):
    code = FAULTS.format(keep=keep)
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path), **variables}
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env=environment, text=True).split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is set")
def test_a_step_takes_the_memory_of_the_one_before():
    faults = int(printed(keep=False)[0])
    assert faults >= 2 * PAGES_A_STEP, "without it, blocks are faulted in again"
    done, kept = printed(keep=True)
    assert done == "True" and int(kept) < faults / 20
    assert printed(keep=True, MALLOC_TOP_PAD_="0")[0] == "False", "the user has said what to do"
