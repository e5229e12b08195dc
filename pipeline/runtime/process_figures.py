"""What the operating system says of this process: memory, processor time, file descriptors, threads.

Comes in: ``/proc/self``. Goes out: samples under the names that every exporter uses; none where there is no /proc.
"""

import os
import resource
import threading
from pathlib import Path

_PROC = Path("/proc/self")
_RSS_FIELD, _START_FIELD = 21, 19  # of /proc/self/stat, counted after the command's closing parenthesis


def process_figures() -> dict[str, float]:
    """Return the figures by metric name.

    Example:
        >>> process_figures()["process_threads"] >= 1
        True
    """
    spent = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "process_cpu_seconds_total": spent.ru_utime + spent.ru_stime,
        "process_threads": float(threading.active_count()),
        "process_max_fds": float(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    }
    try:
        fields = (_PROC / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        figures["process_resident_memory_bytes"] = float(int(fields[_RSS_FIELD]) * os.sysconf("SC_PAGE_SIZE"))
        figures["process_open_fds"] = float(len(list((_PROC / "fd").iterdir())) - 1)  # but for the one that lists
        booted_s = next(
            int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line[:5] == "btime"
        )
        figures["process_start_time_seconds"] = booted_s + int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, StopIteration):
        pass  # no Linux: these have no sample
    return figures
