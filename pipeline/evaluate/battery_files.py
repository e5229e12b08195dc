"""The result files of battery and power report: figures as JSON, and a picture.

Comes in: paths that the user gave, and what goes into them. Goes out: complete files, or one clear line about each
that cannot be.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.errors import ForetellError
from pipeline.sinks.chart import check_chart_file
from pipeline.sinks.outfile import check_outfile, replacing


def check_results(json_out: Path | None, plot: Path | None) -> None:
    """Refuse results that could not be written, before the long work starts.

    Raises:
        UsageError: A wrong suffix, an unwritable place, or matplotlib is missing.
    """
    if json_out is not None:
        check_outfile(json_out, (".json",), "--json")
    if plot is not None:
        check_chart_file(plot)


def write_results(
    json_out: Path | None, document: dict[str, Any], plot: Path | None, draw: Callable[[Path], None]
) -> None:
    """Write figures and picture, as far as they are wanted.

    Args:
        json_out: File of figures.
        document: Its content.
        plot: Picture.
        draw: Draws it.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    try:
        if json_out is not None:
            with replacing(json_out) as draft:
                draft.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if plot is not None:
            draw(plot)
    except OSError as error:
        raise ForetellError(f"results could not be written: {error.strerror}") from None
