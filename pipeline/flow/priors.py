"""Priors in the flow: limits that publishers say their sensors have are those of the verdict ``out of range``.

Where the settings give limits, those count. Meters' registers are not taken at their publisher's word: the engine
tells them by how they behave.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from pipeline.core.health_settings import HealthSettings
from pipeline.core.priors import Prior
from pipeline.flow.state import State


def tell_priors(settings: HealthSettings, state: State, priors: Mapping[str, Prior]) -> None:
    """Tell streams what their publishers say of them.

    Args:
        settings: Those of health; their ranges win.
        state: The shard; streams that it does not hold are passed over.
        priors: By stream name.
    """
    for name, prior in priors.items():
        has_limits = prior.low is not None or prior.high is not None
        is_set = any(fnmatchcase(name, entry.match) for entry in settings.ranges)
        if has_limits and not is_set and name in state.table:
            state.reach.give(int(state.table.admit([name])[0]), prior.low, prior.high)
