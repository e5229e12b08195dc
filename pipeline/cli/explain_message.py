"""``foretell explain-message``: what becomes of a message, and why."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.errors import UsageError


def explain_message(
    topic: Annotated[str, typer.Option("--topic", "-t", help="Its topic.")],
    payload: Annotated[str | None, typer.Option("--payload", "-p", help="Its payload, as text.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Or a file with the payload; - for stdin.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration file; default: any topic, any family.")
    ] = None,
    user_property: Annotated[
        list[str] | None, typer.Option("--property", metavar="KEY=VALUE", help="MQTT 5 user property; may be repeated.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell which family a message is of, what is read from it, and when; or why it is rejected, and what to do.

    Example: foretell explain-message --topic tele/boiler/SENSOR --payload '{"DS18B20":{"Temperature":54.3}}'

    mosquitto_sub -C 1 -t TOPIC | foretell explain-message --topic TOPIC --file -

    Exit code 0 when it gives readings or describes streams, 1 when it is rejected or ignored.
    """
    import json
    import time

    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.explain_message import explain, explanation_json, explanation_lines

    content = _payload(payload, file)
    properties = [_property(text) for text in user_property or []]
    told = explain(topic, content, properties, load_settings(config) if config else None, time.time())
    if as_json:
        typer.echo(json.dumps(explanation_json(told), indent=1))
    else:
        for line in explanation_lines(told):
            typer.echo(line)
    if not told.is_fine:
        raise typer.Exit(1)


def _payload(text: str | None, file: Path | None) -> bytes:
    if (text is None) == (file is None):
        raise UsageError("--payload", "the payload is given by one of --payload and --file", "write one of them")
    if file is None:
        return (text or "").encode("utf-8", "surrogateescape")
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UsageError(str(file), f"cannot be read: {error.strerror}", "check the path") from None


def _property(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError("--property", f"{text!r} has no =", "write KEY=VALUE")
    return key, value
