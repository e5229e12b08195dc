"""What ``foretell evaluate msl`` shows and writes.

Comes in: runs. Goes out: a table per channel, lines of key figures, a JSON document, and what is drawn. Refuses to
know how figures came about.
"""

from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import fmean, median
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.evaluate.events import EventCounts
from pipeline.evaluate.msl import BUFFER, STEP_S, TELEMANOM, ChannelResult, MslRun
from pipeline.evaluate.msl_files import Channel
from pipeline.evaluate.span_plot import Strip

_HEADINGS = ("readings", "labels", "found", "false alarms", "alerts/day", "delay", "VUS-PR")
_DAY_S = 86400.0


def channels_table(runs: Sequence[MslRun]) -> Table:
    """Lay out every channel, means over the seeds."""
    title = "Sequences by channel" + (f", means of {len(runs)} seeds" if len(runs) > 1 else "")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("channel")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for same in zip(*(run.results for run in runs), strict=True):
        first = same[0]
        found, false = (fmean(getattr(r.counts, name) for r in same) for name in ("n_found", "n_false"))
        figures = (found, false, fmean(r.alerts_per_day for r in same), _delay(same), fmean(r.vus_pr for r in same))
        formats = ("{:.4g}", "{:.4g}", "{:.2f}", "{:.4g}", "{:.2f}")
        cells = [form.format(x) if isfinite(x) else "" for form, x in zip(formats, figures, strict=True)]
        table.add_row(Text(first.name), f"{first.n_readings:,}", str(first.counts.n_labels), *cells)
    return table


def _delay(results: Sequence[ChannelResult]) -> float:
    """Return the median delay of what was found, readings; NaN where nothing was."""
    late = [delay for result in results for delay in result.delays if isfinite(delay)]
    return median(late) if late else float("nan")


def summary_lines(runs: Sequence[MslRun], took_s: float) -> Iterator[str]:
    """Yield the key figures, one per line."""
    first = runs[0]
    n_readings = sum(result.n_readings for result in first.results)
    seeds = f"seed {first.seed}" if len(runs) == 1 else f"{len(runs)} seeds"
    yield f"{len(first.results)} channels, {n_readings:,} test readings, {seeds}, {took_s:.0f} s"
    yield f"sequences (episodes widened by {BUFFER} readings): {_scores([run.counts for run in runs])}"
    yield f"episodes as they are: {_scores([run.exact for run in runs])}"
    yield f"as many alerts, evenly spaced and blind, widened alike: F1 {fmean(run.blind_f1 for run in runs):.3f}"
    yield f"Telemanom, trained offline, as published: {_scores([TELEMANOM])}"
    results = [result for run in runs for result in run.results]
    days = sum(result.n_readings - BUFFER for result in results) * STEP_S / _DAY_S
    volumes = [result.vus_pr for result in results if isfinite(result.vus_pr)]
    yield (
        f"alerts per day and channel {sum(result.n_alerts for result in results) / days:.2f}, "
        f"median delay {_delay(results):.4g} readings, mean VUS-PR {fmean(volumes) if volumes else float('nan'):.3f}"
    )
    settling = fmean(sum(result.n_settling for result in run.results) for run in runs)
    yield (
        f"not judged: {settling:.4g} episodes in the first {BUFFER} test readings, "
        "where a recording of another time was put behind the training part"
    )


def _scores(counts: Sequence[EventCounts]) -> str:
    """Say precision, recall and F1, means over the seeds, and the worst F1."""
    f1, precision, recall = ([getattr(c, name) for c in counts] for name in ("f1", "precision", "recall"))
    found, false = fmean(c.n_found for c in counts), fmean(c.n_false for c in counts)
    worst = f" (worst seed {min(f1):.3f})" if len(counts) > 1 else ""
    return (
        f"F1 {fmean(f1):.3f}{worst}, precision {_mean(precision):.3f}, recall {_mean(recall):.3f}, "
        f"{found:.4g} of {counts[0].n_labels} found, {false:.4g} false alarms"
    )


def _mean(shares: Sequence[float]) -> float:
    """Return the mean of what is known."""
    known = [share for share in shares if isfinite(share)]
    return fmean(known) if known else float("nan")


def as_json(runs: Sequence[MslRun]) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null for what is undefined."""
    return {
        "buffer": BUFFER,
        "telemanom": _counts(TELEMANOM),
        "f1": fmean(run.counts.f1 for run in runs),
        "f1_worst": min(run.counts.f1 for run in runs),
        "seeds": [
            {
                "seed": run.seed,
                "sequences": _counts(run.counts),
                "episodes": _counts(run.exact),
                "blind_f1": _plain(run.blind_f1),
                "channels": [_channel(result) for result in run.results],
            }
            for run in runs
        ],
    }


def _channel(result: ChannelResult) -> dict[str, Any]:
    return {
        "channel": result.name,
        "n_readings": result.n_readings,
        "sequences": _counts(result.counts),
        "episodes": _counts(result.exact),
        "delays": [_plain(delay) for delay in result.delays],
        "n_alerts": result.n_alerts,
        "n_not_judged": result.n_settling,
        "alerts_per_day": _plain(result.alerts_per_day),
        "vus_pr": _plain(result.vus_pr),
    }


def _counts(counts: EventCounts) -> dict[str, float | int | None]:
    shares = {name: _plain(getattr(counts, name)) for name in ("precision", "recall", "f1")}
    return {"n_labels": counts.n_labels, "n_found": counts.n_found, "n_false": counts.n_false, **shares}


def _plain(number: float) -> float | None:
    return number if isfinite(number) else None


def strips(channels: Sequence[Channel], run: MslRun) -> list[Strip]:
    """Return what is drawn of one run: every channel's test part, its labels and its episodes."""
    return [
        Strip(
            name=channel.name,
            time=np.arange(len(channel.test), dtype=np.float64),
            lines=(channel.test,),
            labels=channel.labels,
            alerts=result.episodes,
        )
        for channel, result in zip(channels, run.results, strict=True)
    ]
