"""Where everything lies that a job reads and writes, and what is refused before it begins."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of a job.

    Attributes:
        log: Segments, written by the bridge.
        weights: Networks, written by fine-tunes.
        output: What the job itself writes, and its lock.
    """

    log: Path
    weights: Path
    output: Path

    @classmethod
    def of(cls, settings: Settings, output: Path | None = None) -> Self:
        """Return the folders that the settings name; another output for a history that is scored again."""
        folder = Path(settings.scale.folder).expanduser().absolute()
        return cls(folder / "log", folder / "weights", output.expanduser().absolute() if output else folder / "live")

    @property
    def checkpoint(self) -> Path:
        """Spark's checkpoint: offsets and state."""
        return self.output / "checkpoint"

    @property
    def scores(self) -> Path:
        """Scores, a folder for each batch."""
        return self.output / "scores"

    @property
    def alerts(self) -> Path:
        """Alerts, a folder for each batch."""
        return self.output / "alerts"

    @property
    def seed(self) -> Path:
        """Shards that were imported: the state that a new job begins with."""
        return self.output / "imported"


def batch_folder(folder: Path, batch: int) -> Path:
    """Return the folder of a batch.

    Example:
        >>> batch_folder(Path("scores"), 7).as_posix()
        'scores/batch=7'
    """
    return folder / f"batch={batch}"


def check_settings(settings: Settings) -> None:
    """Refuse settings that shards cannot keep.

    Raises:
        UsageError: Streams do not share one network, or see each other.
    """
    if settings.forecast.sharing != "fleet":
        problem = f"{settings.forecast.sharing}: shards score with one network for all streams"
        raise UsageError("forecast.sharing", problem, "set it to fleet, as configs/scale.yaml does")
    if settings.forecast.context:
        problem = "a stream's context may be in another shard"
        raise UsageError("forecast.context", problem, "leave it out, or watch these streams with a daemon of their own")


def check_output(folders: Folders) -> None:
    """Refuse to mix a job's output with that of another whose checkpoint is gone.

    Raises:
        UsageError: There are scores without a checkpoint.
    """
    if folders.scores.exists() and not folders.checkpoint.exists():
        problem = "holds scores, and not the checkpoint of the job that wrote them"
        raise UsageError(str(folders.output), problem, "name another folder, or move them away")
