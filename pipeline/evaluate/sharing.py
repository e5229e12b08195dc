"""What it costs and brings that streams share networks: the same recordings under every ``sharing``.

Comes in: recordings, settings, and labelled windows where there are any. Goes out: a row of figures
per sharing. Refuses to know files and terminals.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from pipeline.core.settings import Settings
from pipeline.evaluate.forecast import EngineRun, run_engine
from pipeline.evaluate.forecast_judge import LEAGUE, LSTM
from pipeline.evaluate.forecast_summary import Share, below_1, median
from pipeline.evaluate.labels import Windows
from pipeline.sources.recording import Recording

SHARINGS = ("stream", "group", "fleet")
#: Kinds among NAB's recordings, where the configuration names none: what measures the same sort of thing.
NAB_KINDS = (
    "Twitter_volume_*",
    "exchange-*_cpc_*",
    "exchange-*_cpm_*",
    "*cpu_utilization*",
    "*network_in*",
    "ec2_disk_write_bytes_*",
    "speed_*",
    "occupancy_*",
    "TravelTime_*",
    "rogue_agent_*",
    "*temperature*",
    "art_*",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One sharing's figures.

    Attributes:
        sharing: As in the settings.
        n_networks: Networks at the end.
        lstm_mase: Median over streams of the LSTM's error over persistence's.
        league_mase: Likewise of the forecast that is shown.
        beats_persistence: Streams on which the LSTM has the smaller error.
        windows_met: Labelled windows in which an episode opened.
        n_outside: Episodes that opened outside of all windows.
        kib_per_stream: Memory of state and networks.
        us_per_reading: Processor time, fine-tuning included.
    """

    sharing: str
    n_networks: int
    lstm_mase: float
    league_mase: float
    beats_persistence: Share
    windows_met: Share
    n_outside: int
    kib_per_stream: float
    us_per_reading: float

    def as_dict(self) -> dict[str, object]:
        """Return the columns by name."""
        return asdict(self)


def compare_sharing(
    recordings: Sequence[Recording], settings: Settings, windows: Windows, progress: Callable[[str, int], None]
) -> list[Row]:
    """Run recordings, all streams at once, under each sharing.

    Args:
        recordings: Their streams are watched together.
        settings: All but ``forecast.sharing``, and ``forecast.kinds`` where it is empty, count.
        windows: Labelled anomalies by stream; empty where nothing is labelled.
        progress: Told what is at work, and how many readings of it are done.
    """
    kinds = settings.forecast.kinds or NAB_KINDS
    rows = []
    for sharing in SHARINGS:
        forecast = settings.forecast.model_copy(update={"sharing": sharing, "kinds": kinds})
        own = settings.model_copy(update={"forecast": forecast})
        run = run_engine(recordings, own, partial(progress, sharing))
        rows.append(_row(sharing, run, windows))
    return rows


def _row(sharing: str, run: EngineRun, windows: Windows) -> Row:
    """Gather one sharing's figures."""
    streams = run.streams()
    errors = run.judged([{} for _ in streams])
    lstm = [stream.mase(LSTM) for stream in errors]
    opened = [(episode.last.stream, episode.last.opened_s) for episode in run.result.episodes]
    labelled = {stream.name: windows.get(stream.name, ()) for stream in streams}
    is_met = [
        any(stream == name and start <= time <= end for name, time in opened)
        for stream, own in labelled.items()
        for start, end in own
    ]
    outside = [not any(start <= time <= end for start, end in windows.get(stream, ())) for stream, time in opened]
    return Row(
        sharing=sharing,
        n_networks=run.session.n_networks(),
        lstm_mase=median(lstm),
        league_mase=median([stream.mase(LEAGUE) for stream in errors]),
        beats_persistence=below_1(lstm),
        windows_met=Share(sum(is_met), len(is_met)),
        n_outside=sum(outside),
        kib_per_stream=_memory(run) / max(1, len(streams)) / 1024,
        us_per_reading=run.cpu_s / max(1, len(run.result.readings)) * 1e6,
    )


def _memory(run: EngineRun) -> float:
    """Return the bytes that the streams and their networks take; what is allocated ahead of need does not count."""
    state, bank = run.session.state, run.session.model.bank
    per_slot = sum(a.nbytes / len(a) for part in state.parts().values() for a in part.arrays().values() if len(a))
    per_network = sum(array.nbytes / max(1, len(array)) for array in bank.arrays().values())
    return per_slot * len(state.table) + per_network * run.session.n_networks()
