"""One log line of each kind of rejection now and then, with an example: a flood of messages is no flood of lines."""

import logging
import time
from collections.abc import Callable, Mapping

from pipeline.runtime.intake import Sample

#: Pause between two lines about the same kind of rejection, seconds.
PAUSE_S = 60.0

_log = logging.getLogger(__name__)


class RejectionLog:
    """Logs rejections.

    Args:
        monotonic_s: Gives the current time, monotonic seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = monotonic_s
        self._logged_s: dict[str, float] = {}

    def log(self, samples: Mapping[str, Sample]) -> None:
        """Log one example of each kind, and no more of that kind for a while."""
        now_s = self._now_s()
        for reason, sample in samples.items():
            if now_s - self._logged_s.get(reason, float("-inf")) >= PAUSE_S:
                self._logged_s[reason] = now_s
                fields = {"reason": reason, "topic": sample.topic, "size_bytes": sample.size_bytes}
                _log.warning("message rejected", extra={"fields": fields | {"detail": sample.detail}})
