"""The settings of the job's other source: NATS JetStream."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pipeline.core.addresses import is_loopback
from pipeline.core.edge_settings import Section


class NatsSettings(Section):
    """JetStream, fed by nats-server's own MQTT listener (docs/scale-out.md)."""

    url: str = Field("nats://127.0.0.1:4222", max_length=256, title="The server; tls:// where it is another machine.")
    stream: str = Field(
        "foretell",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        title="Streams are called so, with -0, -1, ... behind it; subjects begin so.",
    )
    partitions: int = Field(
        4, ge=1, le=1024, title="Streams that the server parts messages into; fixed once there is a state."
    )
    username: str = Field("", title="User name; empty for none.")
    password_file: str = Field("", title="File that holds the password (chmod 600).")
    ca_file: str = Field("", title="Certificates (PEM) that may have signed the server's; empty for the machine's own.")
    allow_plaintext: bool = Field(default=False, title="Speak to a server on another machine without TLS.")

    @model_validator(mode="after")
    def _is_encrypted_or_here(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"nats", "tls"} or not parts.hostname or parts.username or parts.password:
            msg = (
                "scale.nats.url is nats://host:port or tls://host:port, with user and password in settings of their own"
            )
            raise ValueError(msg)
        if parts.scheme != "tls" and not (self.allow_plaintext or is_loopback(parts.hostname)):
            msg = f"scale.nats.url {self.url} is another machine, and not encrypted: use tls://, or set allow_plaintext"
            raise ValueError(msg)
        return self
