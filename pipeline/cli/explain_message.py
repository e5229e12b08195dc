"""``foretell explain-message``: what becomes of a message, and why."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.errors import UsageError


def explain_message(
    topic: Annotated[str, typer.Option("--topic", "-t", help="Its topic; without one --file is a recording.")] = "",
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

    foretell explain-message --file live.jsonl explains each message of a recording, knowing those before it.

    Exit code 0 when it gives readings or describes streams, 1 when it is rejected or ignored.
    """
    import json
    import time

    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.explain_message import explain, explanation_json, explanation_lines

    if not topic and file is not None and payload is None:
        _explain_recording(file, config, as_json=as_json)
        return
    if not topic:
        raise UsageError("--topic", "is missing", "name the message's topic, or give a recording with --file")
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


def _explain_recording(file: Path, config: Path | None, *, as_json: bool) -> None:
    import json

    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.explain_message import explanation_json, explanation_lines
    from pipeline.runtime.message_recording import explained_recording

    is_fine = True
    for told in explained_recording(file, load_settings(config) if config else None):
        is_fine = is_fine and told.is_fine
        typer.echo(json.dumps(explanation_json(told)) if as_json else "\n".join([*explanation_lines(told), ""]))
    if not is_fine:
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
