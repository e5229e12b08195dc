"""The commands about configuration files: ``init`` writes one, ``check-config`` judges one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.core.errors import ForetellError, UsageError

if TYPE_CHECKING:
    from pipeline.runtime.broker_search import FoundBroker


def init(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: the terminal.")] = None,
    *,
    broker: Annotated[str, typer.Option("--broker", metavar="HOST", help="Where to look for a broker first.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented configuration: every setting at its default, and the broker that was found.

    Example: foretell init --output edge.yaml --broker 192.0.2.7

    Asked are ports 8883 (TLS) and 1883 of HOST and of this machine. No password is sent.
    """
    from pipeline.runtime.broker_search import find_broker
    from pipeline.runtime.example import example_config

    found = find_broker(filter(None, (broker, "127.0.0.1")))
    text = example_config(_mqtt_of(found, broker))
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text, force=force)
        typer.echo(f"{output}: written; edit it, then: foretell check-config -c {output}")
    for line in _said_of(found, broker):
        typer.echo(line, err=True)


def _mqtt_of(found: "FoundBroker | None", wanted: str) -> dict[str, object]:
    """Return what differs from the defaults for a broker."""
    if found is None:
        return {"host": wanted} if wanted else {}
    tls = {"tls": {"enabled": True}} if found.is_tls else {}
    return {"host": found.host, "port": found.port, **tls}


def _said_of(found: "FoundBroker | None", wanted: str) -> Iterator[str]:
    """Yield what is worth knowing about the broker that was found."""
    from pipeline.core.addresses import is_loopback

    if found is None:
        yield f"no broker answers at {f'{wanted} or ' if wanted else ''}127.0.0.1, ports 8883 and 1883: set mqtt.host"
        return
    yield f"found a broker at {found.host}:{found.port}{', with TLS' if found.is_tls else ''}"
    if found.is_tls:
        yield "  name who signed its certificate in mqtt.tls.ca_file, unless that is a public authority"
    elif not is_loopback(found.host):
        yield "  it is another machine and not encrypted: use TLS, or set mqtt.allow_plaintext: true"
    if found.wants_password:
        yield "  it asks for a password: set mqtt.username and mqtt.password_file"


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
