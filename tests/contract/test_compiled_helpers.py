"""A helper that does not compile is left out without a word, and its tests are skipped: here it is missed."""

import os
import shutil

import pytest

from pipeline.core.compiled import OFF
from pipeline.core.settings import Settings
from pipeline.detect import compiled as surprise
from pipeline.flow import compiled as tick
from pipeline.flow.state import new_model
from pipeline.forecast import compiled as lstm
from pipeline.forecast.compiled import league
from pipeline.forecast.network import network_for


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler: numpy and torch do all of it")
@pytest.mark.skipif(os.environ.get(OFF) == "0", reason=f"{OFF}=0 switches the helpers off")
def test_where_there_is_a_compiler_every_helper_is_there() -> None:
    settings = Settings()
    there = {
        "forecast/compiled/lstm.c": lstm.serves(network_for(settings.forecast)),
        "forecast/compiled/league.c": league.serves(),
        "detect/compiled/surprise.c": surprise.serves(settings.detection.n_kept, settings.forecast.ensemble),
        "flow/compiled": tick.serves(new_model(settings)),
    }
    assert [name for name, is_there in there.items() if not is_there] == [], "pip install --editable . builds them"
