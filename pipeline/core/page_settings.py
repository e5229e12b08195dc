"""The settings of the status page."""

from typing import Annotated

from pydantic import Field

from pipeline.core.edge_settings import Section

Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")]


class PageSettings(Section):
    """The status page, at / of the metrics endpoint: the same port, the same passwords."""

    enabled: bool = Field(default=True, title="Serve the page.")
    max_streams: int = Field(
        60,
        ge=1,
        le=1000,
        title="Streams that are shown and whose readings are kept for it, worst first.",
        description="About 25 KB of memory each. The page's search finds all others by name.",
    )
    hosts: tuple[Host, ...] = Field(
        (),
        max_length=16,
        title="Names that browsers may call this machine by, beside localhost and its addresses.",
        description="[box.example] behind a proxy; not needed with metrics.web_config_file.",
    )
