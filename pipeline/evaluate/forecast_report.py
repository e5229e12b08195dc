"""What ``foretell evaluate forecast`` shows and writes.

Comes in: an evaluation. Goes out: tables, lines and a JSON document. Refuses to know how figures came about.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.evaluate.forecast import Evaluation
from pipeline.evaluate.forecast_errors import LEVELS, relative_error
from pipeline.evaluate.forecast_judge import LEAGUE, LSTM, PERSISTENCE, SEASONAL_PERSISTENCE, StreamErrors
from pipeline.evaluate.forecast_summary import Summary

#: Where a name would make its column too wide.
SHORT = {
    "autoregression": "AR",
    "smoothing": "smooth",
    "seasonal": "season",
    "exponential smoothing": "exp. smoothing",
}


def own_table(evaluation: Evaluation) -> Table:
    """Lay out the engine's own forecasters: scaled errors, intervals, and how the league keeps up."""
    names = [name for name in _names(evaluation) if name not in evaluation.peers]
    shown = [name for name in names if name not in {PERSISTENCE, SEASONAL_PERSISTENCE}]
    table = _table("Mean absolute error over persistence's (MASE), one step ahead", "stream", "readings")
    headings = [SHORT.get(name, name) for name in shown]
    for heading in (*headings, "vs season", *(f"in {level:.0%}" for level in LEVELS), "pinball", "vs best"):
        table.add_column(heading, justify="right")
    for errors in evaluation.streams:
        scaled = [errors.mase(name) for name in shown]
        pinball = relative_error(errors.pinball, errors.mae.get(PERSISTENCE, np.nan))
        figures = [*scaled, errors.season_mase(LEAGUE), *errors.coverage, pinball, errors.keeps_up]
        table.add_row(Text(errors.stream), f"{errors.n:,}", *map(figure, figures))
    return table


def peer_table(evaluation: Evaluation) -> Table:
    """Lay out the league beside other libraries' forecasters."""
    table = _table("MASE beside other libraries", "stream", "readings")
    for name in (LEAGUE, *evaluation.peers):
        table.add_column(SHORT.get(name, name), justify="right")
    for errors in evaluation.streams:
        figures = [errors.mase(name) for name in (LEAGUE, *evaluation.peers)]
        table.add_row(Text(errors.stream), f"{errors.n:,}", *map(figure, figures))
    return table


def _table(title: str, first: str, second: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    table.add_column(second, justify="right")
    return table


def _names(evaluation: Evaluation) -> list[str]:
    """Return all forecasters that foretold anything, league and LSTM first."""
    found = dict.fromkeys(name for errors in evaluation.streams for name in (*errors.mae, *errors.season_mae))
    return [*(name for name in (LEAGUE, LSTM) if name in found), *(n for n in found if n not in {LEAGUE, LSTM})]


def figure(number: float) -> str:
    """Format a ratio or share.

    Example:
        >>> figure(0.8512), figure(float("nan")), figure(float("inf")), figure(12345.6)
        ('0.851', 'n/a', 'diverged', '1e+04')
    """
    if np.isnan(number):
        return "n/a"
    if np.isinf(number):
        return "diverged"
    return f"{number:.3f}" if number < 100 else f"{number:.0e}"  # noqa: PLR2004 - where three digits end


def summary_lines(evaluation: Evaluation, took_s: float) -> Iterator[str]:
    """Yield the key figures, one per line."""
    s = evaluation.summary
    seeds = f"seed {evaluation.seeds[0]}" if len(evaluation.seeds) == 1 else f"{len(evaluation.seeds)} seeds"
    yield f"{s.n_streams:,} streams, {evaluation.n_readings:,} readings, {seeds}, {took_s:.1f} s"
    if s.n_without_scale:
        yield f"n/a: {s.n_without_scale} of them, constant or too short"
    yield f"median MASE: {_listed(s.median_mase)}"
    yield f"median of the error over seasonal persistence's: {_listed(s.median_season_mase, (LEAGUE, LSTM))}"
    if len(s.seeds_mase) > 1:
        yield f"median MASE of the lstm by seed: {', '.join(map(figure, s.seeds_mase))}"
    for name, share in s.beats_persistence.items():
        yield f"{name} better than persistence: {share.text()}"
    worst, stream, baseline = s.worst
    yield f"league over the best baseline after 1,000 readings, worst: {figure(worst)}" + (
        f" ({stream}, against {baseline})" if stream else ""
    )
    yield f"90 % interval covers 85 to 95 %: {s.covered.text()}"
    levels = (f"{share:.1%} at {level:.0%}" for share, level in zip(s.median_coverage, LEVELS, strict=True))
    yield f"median coverage: {', '.join(levels)}"
    for peer, share in s.beats_peer.items():
        yield f"league better than {peer}: {share.text()}"
    for peer, n in s.diverged.items():
        yield f"{peer} diverged on {n}; counted as beaten"
    for name, setup in evaluation.peers.items():
        yield f"{name}: {setup.settings}"
    for name, remedy in evaluation.absent.items():
        yield f"{name}: {remedy}"


def _listed(by: Mapping[str, float], names: Sequence[str] = ()) -> str:
    """List figures with their names."""
    return ", ".join(f"{name} {figure(by[name])}" for name in (names or by) if name in by and name != PERSISTENCE)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null for n/a, ``"diverged"`` for an infinite error."""
    document = {
        "n_readings": evaluation.n_readings,
        "seeds": list(evaluation.seeds),
        "peers": {name: peer.settings for name, peer in evaluation.peers.items()},
        "absent": dict(evaluation.absent),
        "summary": _summary(evaluation.summary),
        "streams": [_stream(errors) for errors in evaluation.streams],
    }
    return {key: _plain(value) for key, value in document.items()}


def _summary(s: Summary) -> dict[str, Any]:
    return {
        "n_streams": s.n_streams,
        "n_without_scale": s.n_without_scale,
        "median_mase": s.median_mase,
        "median_season_mase": s.median_season_mase,
        "seeds_mase": s.seeds_mase,
        "beats_persistence": {name: [share.n, share.of] for name, share in s.beats_persistence.items()},
        "worst_keeps_up": dict(zip(("ratio", "stream", "baseline"), s.worst, strict=True)),
        "covered": [s.covered.n, s.covered.of],
        "median_coverage": s.median_coverage,
        "beats_peer": {name: [share.n, share.of] for name, share in s.beats_peer.items()},
        "diverged": s.diverged,
    }


def _stream(errors: StreamErrors) -> dict[str, Any]:
    names = dict.fromkeys([*errors.mae, *errors.season_mae])
    return {
        "stream": errors.stream,
        "n_readings": errors.n_readings,
        "n": errors.n,
        "n_season": errors.n_season,
        "mae": errors.mae,
        "season_mae": errors.season_mae,
        "mase": {name: errors.mase(name) for name in names},
        "season_mase": {name: errors.season_mase(name) for name in errors.season_mae},
        "coverage": errors.coverage,
        "pinball": errors.pinball,
        "keeps_up": errors.keeps_up,
        "best_baseline": errors.best,
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - anything that JSON can hold
    """Replace numbers that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else "diverged"
    return value
