"""The ``foretell`` command: assembles the command groups and prints a user's error as one line.

Nothing heavy is imported here or at the top of a command's module: ``foretell --help`` answers
without torch.
"""

import sys

import typer

from pipeline.cli.alerts import alerts
from pipeline.cli.bench import bench
from pipeline.cli.bridge import bridge
from pipeline.cli.config import check_config, init
from pipeline.cli.demo import demo
from pipeline.cli.doctor import doctor
from pipeline.cli.evaluate import evaluate
from pipeline.cli.explain_message import explain_message
from pipeline.cli.record import record
from pipeline.cli.replay import replay
from pipeline.cli.run import run
from pipeline.cli.scale import scale
from pipeline.cli.simulate import simulate
from pipeline.cli.status import status
from pipeline.cli.what_if import what_if
from pipeline.core.errors import ForetellError

app = typer.Typer(
    name="foretell",
    help="Watch sensors, foretell each next reading, and say when reality disagrees.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command()(run)
app.command()(record)
app.command()(replay)
app.command()(simulate)
app.command("explain-message")(explain_message)
app.command()(init)
app.command()(doctor)
app.command()(status)
app.command("check-config")(check_config)
app.add_typer(alerts, name="alerts")
app.command("what-if")(what_if)
app.add_typer(scale, name="scale")
app.add_typer(evaluate, name="evaluate")
app.command()(bridge)
app.command()(bench)


def main() -> None:
    """Run the command line; a ``ForetellError`` becomes one line on stderr and its exit code."""
    try:
        app()
    except ForetellError as error:
        sys.stderr.write(f"foretell: {error}\n")
        sys.exit(error.exit_code)
