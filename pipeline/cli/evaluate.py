"""``foretell evaluate``: how good it is, measured on recordings that anybody can get; assembles its commands."""

import typer

from pipeline.cli.evaluate_battery import battery
from pipeline.cli.evaluate_forecast import forecast
from pipeline.cli.evaluate_health import health
from pipeline.cli.evaluate_msl import msl
from pipeline.cli.evaluate_nab import nab
from pipeline.cli.evaluate_power import power
from pipeline.cli.evaluate_sharing import sharing
from pipeline.cli.evaluate_skab import skab

evaluate = typer.Typer(
    help="Measure forecasts and detection on recordings.", no_args_is_help=True, rich_markup_mode=None
)
evaluate.command()(forecast)
evaluate.command()(sharing)
evaluate.command()(nab)
evaluate.command()(msl)
evaluate.command()(skab)
evaluate.command()(battery)
evaluate.command()(health)
evaluate.command()(power)


@evaluate.callback()
def group() -> None:
    """Measure forecasts and detection on recordings."""
