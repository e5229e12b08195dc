"""Memory that was freed goes back to the system: seen in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

#: A large block is freed, and has later ones lie in the heap; they are freed too, but small ones among them stay.
WORK = """
import re
from pathlib import Path
from pipeline.runtime.heap import keep_little
can = {first}
bytearray(b"x" * (24 << 20))
blocks, small = [], []
for _ in range(40):
    blocks.append(bytearray(b"x" * (2 << 20)))
    small.append(bytearray(b"x" * 4096))
blocks.clear()
print(can, re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def held_kib(first: str) -> tuple[bool, int]:
    """Return whether the C library took the wish, and what the process holds in the end."""
    done = subprocess.run([sys.executable, "-c", WORK.format(first=first)], capture_output=True, text=True, check=True)
    can, size = done.stdout.split()
    return can == "True", int(size)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at /proc")
def test_large_blocks_that_were_freed_are_not_kept() -> None:
    can, size = held_kib("keep_little()")
    if not can:
        pytest.skip("the C library cannot be asked")
    assert size < held_kib("False")[1] / 2
