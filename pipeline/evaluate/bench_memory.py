"""What further streams take of the machine's memory, as the system counts it: proportional set size, Linux only.

Comes in: numbers of streams. Goes out: KiB. Each is counted in an interpreter of its own, so that nothing that was
there before is in it.
"""

import subprocess
import sys
from pathlib import Path

_ROLLUP = Path("/proc/self/smaps_rollup")
IS_COUNTED = _ROLLUP.exists()
_CODE = "from pipeline.evaluate.bench_memory import held_kib; print(held_kib({n}, {sharing!r}))"


def further_kib(sharing: str, n_first: int, n_more: int) -> float:
    """Return what each of ``n_more`` streams takes beyond ``n_first``, with its network, KiB."""
    few, many = (_apart(n, sharing) for n in (n_first, n_first + n_more))
    return (many - few) / n_more


def _apart(n_streams: int, sharing: str) -> float:
    """Return what an interpreter of its own takes, KiB."""
    command = [sys.executable, "-c", _CODE.format(n=n_streams, sharing=sharing)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own
    return float(done.stdout)


def held_kib(n_streams: int, sharing: str) -> float:
    """Return what this process takes with so many streams past their warm-up, KiB."""
    from pipeline.evaluate.bench import warmed_up
    from pipeline.runtime.heap import give_back

    session = warmed_up(n_streams, sharing)
    give_back()  # as after every snapshot
    lines = _ROLLUP.read_text(encoding="ascii").splitlines()
    del session  # not before
    return float(next(line for line in lines if line.startswith("Pss:")).split()[1])
