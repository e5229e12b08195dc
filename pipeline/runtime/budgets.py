"""Hard budgets, and what is given up first when one is exceeded.

Comes in: how much memory is in use and how far scoring lags, about once a second. Goes out: a sacrifice level. The
order is fixed: first most series of single streams, then fine-tuning, then streams that are new; never the
scoring of streams that are watched, nor alerts. Pure but for ``memory_budget`` and ``memory_in_use``.
"""

import os
from enum import IntEnum
from pathlib import Path

#: Over a budget for so long, and the next thing is given up; well within for so long, and the last comes back, seconds.
RISE_S, FALL_S = 10.0, 60.0
#: Lag of scoring that counts as too slow, and memory below which there is room again, of the budget.
MAX_LAG_S, ROOM = 10.0, 0.9
#: Streams that keep series of their own at the first level, of those that the settings allow.
FEWER_SERIES = 0.1
#: Of the machine's memory, where no budget is set.
_SHARE = 0.75


class Sacrifice(IntEnum):
    """What is given up, each with all before it."""

    NOTHING = 0
    SERIES = 1
    """Nine in ten streams with series of their own; the worst keep theirs."""
    TRAINING = 2
    """Fine-tuning: the child process ends, networks stay as they are."""
    NEW_STREAMS = 3
    """Streams that are not known yet are refused, and counted."""


class Budgets:
    """Decides what is given up.

    Args:
        memory_bytes: Memory that daemon and child may use; 0 for any.
        now_s: Current time, monotonic seconds.

    Attributes:
        level: What is given up now.

    Example:
        >>> budgets = Budgets(memory_bytes=100, now_s=0.0)
        >>> [budgets.step(memory_bytes=120, lag_s=0.0, now_s=now_s).name for now_s in (5.0, 10.0, 20.0, 30.0, 40.0)]
        ['NOTHING', 'SERIES', 'TRAINING', 'NEW_STREAMS', 'NEW_STREAMS']
    """

    def __init__(self, memory_bytes: float, now_s: float) -> None:
        self.level = Sacrifice.NOTHING
        self.memory_bytes = memory_bytes
        self._calm_s = self._over_s = now_s

    def figures(self) -> dict[str, int | str]:
        """Return what ``/status.json`` shows."""
        budget_bytes = round(self.memory_bytes)
        return {"sacrifice_level": int(self.level), "gives_up": self.level.name.lower(), "memory_bytes": budget_bytes}

    def step(self, memory_bytes: float, lag_s: float, now_s: float) -> Sacrifice:
        """Take in what is used now.

        Args:
            memory_bytes: Memory of daemon and child.
            lag_s: Time the oldest message of the last batch waited to be scored, seconds.
            now_s: Current time, monotonic seconds.

        Returns:
            The level now.
        """
        limit = self.memory_bytes or float("inf")
        if memory_bytes > limit or lag_s > MAX_LAG_S:
            self._calm_s = now_s
            if now_s - self._over_s >= RISE_S and self.level < max(Sacrifice):
                self.level, self._over_s = Sacrifice(self.level + 1), now_s
            return self.level
        self._over_s = now_s
        if memory_bytes > ROOM * limit or lag_s > MAX_LAG_S / 2:
            self._calm_s = now_s
        elif now_s - self._calm_s >= FALL_S and self.level > Sacrifice.NOTHING:
            self.level, self._calm_s = Sacrifice(self.level - 1), now_s
        return self.level


def memory_budget(memory_mb: int) -> float:
    """Return the memory that may be used, bytes: as set, else three quarters of what the machine or its cgroup has.

    Args:
        memory_mb: The setting; 0 for none.
    """
    if memory_mb:
        return float(memory_mb * 1_000_000)
    has = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        has = min(has, float(limit)) if limit != "max" else has
    except (OSError, ValueError):
        pass  # no cgroup, or one of another kind: the machine's memory is what there is
    return _SHARE * has


def memory_in_use(pid: int | None) -> float:
    """Return the resident memory of this process and of one other, bytes; 0 where there is no /proc."""
    pages = 0
    for name in ("self", *((str(pid),) if pid else ())):
        try:
            pages += int(Path("/proc", name, "statm").read_text("ascii").split()[1])
        except (OSError, ValueError, IndexError):
            continue  # it ended just now
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
