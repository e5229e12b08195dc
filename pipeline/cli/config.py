"""The commands about configuration files: ``init`` writes one, ``check-config`` judges one."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.errors import ForetellError, UsageError


def init(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: the terminal.")] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented configuration with every setting at its default.

    Example: foretell init --output edge.yaml
    """
    from pipeline.runtime.example import example_config

    text = example_config()
    if output is None:
        sys.stdout.write(text)
        return
    _write(output, text, force=force)
    typer.echo(f"{output}: written; edit it, then: foretell check-config -c {output}")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write a new file, or replace an old one when that is wanted."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(str(path), "exists already", "give another name, or --force to overwrite it") from None
    except OSError as error:
        raise ForetellError(f"{path}: cannot be written: {error.strerror}") from None


def check_config(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file (YAML).")],
) -> None:
    """Check a configuration file: a short summary, or the first error with its line.

    Example: foretell check-config -c configs/edge.yaml
    """
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.intake import checked_routes

    settings = load_settings(config)
    checked_routes(settings)
    mqtt, metrics = settings.mqtt, settings.metrics
    topics = ", ".join(topic.topic for topic in mqtt.topics)
    typer.echo(f"{config}: ok")
    typer.echo(f"  reads    {topics} from {mqtt.host}:{mqtt.port} (MQTT {mqtt.protocol}, QoS {mqtt.qos})")
    typer.echo(f"  alerts   {_alerts(settings.alerts.topic_prefix, settings.site, publish=settings.alerts.publish)}")
    typer.echo(f"  metrics  {f'{metrics.host}:{metrics.port}/metrics' if metrics.enabled else 'off'}")


def _alerts(prefix: str, site: str, *, publish: bool) -> str:
    """Return where alerts go."""
    return f"the log and {prefix}/{site}/alert/#" if publish else "the log"
