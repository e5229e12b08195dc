"""A bridge under test, as a process of its own, and what its log holds."""

from pathlib import Path
from typing import Any

import numpy as np
from fault_box import Box

from pipeline.core.settings import parse_settings
from pipeline.scaleout.segments import Logged, read_segment, segments

#: Segments are small, so that a kill meets one being written.
SECTION = """
scale: {{folder: "{folder}"}}
bridge: {{segment_s: {segment_s}, in_flight: {in_flight}}}
"""


class BridgeBox(Box):
    """``foretell bridge`` on a folder of its own.

    Args:
        folder: Configuration, log lines and the ingest log go here.
        port: Port of the broker.
        metrics_port: A free port.
        segment_s: Longest time a reading waits for its segment, seconds.
        in_flight: Messages that the broker may send ahead.
        more: Arguments of ``Box``.
    """

    verb = "bridge"

    def __init__(
        self,
        folder: Path,
        port: int,
        metrics_port: int,
        *,
        segment_s: float = 0.3,
        in_flight: int = 2000,
        **more: Any,  # noqa: ANN401 - arguments of Box
    ) -> None:
        super().__init__(folder, port, metrics_port, **more)
        self.ingest = folder / "log"
        section = SECTION.format(folder=folder, segment_s=segment_s, in_flight=in_flight)
        self.config.write_text(self.config.read_text() + section)
        self.settings = parse_settings(self.config.read_text(), str(self.config))

    def logged(self) -> list[Logged]:
        """Return what its log holds, segment by segment; positions have no gaps."""
        found = [read_segment(segment.path) for segment in segments(self.ingest)]
        if found:
            assert np.array_equal(np.concatenate([each.seq for each in found]), np.arange(sum(map(len, found))))
        return found

    def n_logged(self) -> int:
        """Return how many readings its log holds."""
        return sum(map(len, self.logged()))

    def times(self) -> dict[str, list[float]]:
        """Return the event times in its log by stream, in order."""
        times: dict[str, list[float]] = {}
        for logged in self.logged():
            names = logged.readings.names
            for stream, time_s in zip(logged.readings.stream.tolist(), logged.readings.time.tolist(), strict=True):
                times.setdefault(names[stream], []).append(time_s)
        return times
