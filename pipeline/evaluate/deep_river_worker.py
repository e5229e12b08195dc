"""Run by the Python of .venv-peers: lines of readings in, lines of forecasts out (JSON arrays).

Each reading is foretold, then learnt from. deep-river scales nothing, and an LSTM on raw readings learns
nothing, so it is given readings standardised by the mean and spread of those before. Imports nothing of ours:
that environment does not hold it.
"""

import json
import math
import sys


def prequential(values: list[float]) -> list[float]:
    """Foretell each reading, then learn from it.

    Returns:
        One forecast per reading: NaN for the first ten, a window; infinite from where it diverged.
    """
    from deep_river.forecasting import LSTMForecaster  # type: ignore[import-not-found]  # is in .venv-peers only

    model = LSTMForecaster()
    mean = squares = 0.0
    forecasts: list[float] = []
    for n, value in enumerate(values):
        spread = math.sqrt(squares / n) if squares > 0 else 1.0
        foretold = mean + spread * model.forecast(horizon=1)[0] if n >= model.window_size else math.nan
        if n >= model.window_size and not math.isfinite(foretold):
            return forecasts + [math.inf] * (len(values) - n)
        forecasts.append(foretold)
        model.learn_one((value - mean) / spread)
        step = (value - mean) / (n + 1)  # Welford
        squares += step * (value - mean) * n
        mean += step
    return forecasts


def main() -> None:
    """Answer every line."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(prequential(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
