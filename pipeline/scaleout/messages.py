"""Messages of a partition become envelopes by shard: decoded where they are read, on a worker.

Comes in: messages with their sequence numbers. Goes out: readings with positions. Each call decodes by itself: what
publishers said in earlier messages (births, discovery) is not known here; the bridge remembers it. Pure.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.core.settings import Settings
from pipeline.runtime.intake import take_in
from pipeline.runtime.routes import checked_routes
from pipeline.scaleout.partitions import READINGS_OF_MESSAGE, Span
from pipeline.scaleout.segments import Logged
from pipeline.sources.inbox import Message


def decoded(messages: Sequence[tuple[int, Message]], span: Span, settings: Settings) -> Logged:
    """Return the readings of a span's messages, with positions that follow from sequence numbers alone."""
    intake = take_in([message for _, message in messages], checked_routes(settings), None, settings.streams.future_s)
    n_rows = np.array(intake.n_rows, np.int64)
    arrival = np.repeat([message.arrival_s for _, message in messages], n_rows)
    number = np.array([number for number, _ in messages], np.int64) - span.start
    within = np.arange(int(n_rows.sum())) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    seq = span.first + np.repeat(number * READINGS_OF_MESSAGE, n_rows) + within
    return Logged(seq, arrival, intake.readings, intake.priors)
