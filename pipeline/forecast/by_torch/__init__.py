"""The networks by torch: every cell, any number of layers, dropout; and what ``compiled`` does, where it is not there.

The only folder that imports torch, which takes a second and 140 MB: ``backend`` imports it where it is needed.
"""

import torch

torch.set_num_threads(1)  # nets this small run many times slower on more

from pipeline.forecast.by_torch.stepping import step  # noqa: E402 - one thread, whoever comes in
from pipeline.forecast.by_torch.training import fine_tune, outputs  # noqa: E402 - likewise

N_AT_ONCE = 32  # see ``backend.Backend``; what a call costs is shared by many, and its rounding depends on how many

__all__ = ["N_AT_ONCE", "fine_tune", "outputs", "step"]
