"""The result files of an evaluation of forecasts: figures as JSON, errors as a picture.

Comes in: paths that the user gave, and an evaluation. Goes out: complete files, or one clear line about each that
cannot be. Loads no engine before it is needed, so that wrong usage is answered at once.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import ForetellError
from pipeline.runtime.replay_files import Outputs, check_outputs
from pipeline.sinks.outfile import check_outfile, replacing

if TYPE_CHECKING:  # wrong usage is answered without loading the engine
    from pipeline.evaluate.forecast import Evaluation


def check_results(files: Sequence[Path], json_out: Path | None, plot: Path | None) -> None:
    """Refuse results that could not be written, before the long work starts.

    Args:
        files: The recordings; no picture may replace one.
        json_out: File of figures, ``.json``, if wanted.
        plot: Picture, ``.png``, if wanted.

    Raises:
        UsageError: A result has a wrong suffix or an unwritable place, or matplotlib is missing.
    """
    check_outputs(files, Outputs(plot=plot))
    if json_out is not None:
        check_outfile(json_out, (".json",), "--json")


def write_results(found: "Evaluation", json_out: Path | None, plot: Path | None) -> None:
    """Write figures and picture, as far as they are wanted.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    from pipeline.evaluate.forecast_plot import write_plot
    from pipeline.evaluate.forecast_report import as_json

    try:
        if json_out is not None:
            with replacing(json_out) as draft:
                draft.write_text(json.dumps(as_json(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if plot is not None:
            write_plot(plot, found.streams, {name: peer.family for name, peer in found.peers.items()})
    except OSError as error:
        raise ForetellError(f"results could not be written: {error.strerror}") from None
