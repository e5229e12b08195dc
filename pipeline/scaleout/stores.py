"""A daemon's state folder, read as a job's beginning, or written as its continuation.

The daemon must be stopped: its folder is locked meanwhile. What it had not told yet, incidents and the book of alerts
stay with it; a folder that is written begins with none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.runtime.checkpoints import Checkpoints
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.restore import restore
from pipeline.runtime.session import Session
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.handover import common_model, split
from pipeline.scaleout.weights import publish, read_weights, versions
from pipeline.store.files import write_file
from pipeline.store.store import Store


def import_state(source: Path, settings: Settings, folders: Folders) -> tuple[int, int]:
    """Make a daemon's state the beginning of a job that has none yet.

    Args:
        source: The daemon's state folder.
        settings: Those of the job.
        folders: Those of the job.

    Returns:
        Streams, and shards.

    Raises:
        UsageError: The job has a state, there is no daemon's, or they do not fit.
        StoreError: It cannot be read or written.
    """
    if folders.checkpoint.exists() or folders.seed.exists() or versions(folders.weights):
        raise UsageError(str(folders.output), "this job has a state already", "name another scale.folder")
    if not (source / "foretell.db").exists():
        raise UsageError(f"--from {source}", "no daemon's state is there", "name the folder of its store.path")
    session = Session(settings)
    with _store(source, settings) as store:
        found = restore(store, session, FollowUp(settings))
    if found.why:
        raise UsageError(f"--from {source}", found.why, "give the job the daemon's streams and forecast settings")
    version = publish(folders.weights, common_model(session), 0)
    n_shards = 0
    for shard, blob in split(session, settings, version.name, partial(read_weights, folders.weights, settings)):
        table = pa.table({"shard": pa.array([shard], pa.int32()), "blob": pa.array([blob], pa.binary())})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_file(folders.seed / f"shard-{shard:05d}.parquet", bytes(sink.getvalue()))
        n_shards += 1
    return len(session.state.table), n_shards


def export_state(target: Path, session: Session) -> int:
    """Write a state folder that a daemon with the same settings goes on from.

    Returns:
        Streams.

    Raises:
        UsageError: There is a state already.
        StoreError: It cannot be written.
    """
    if (target / "foretell.db").exists():
        raise UsageError(f"--to {target}", "a daemon's state is there already", "name another folder")
    with _store(target, session.settings) as store:
        checkpoints = Checkpoints(store, session, FollowUp(session.settings), lambda: 0.0)
        checkpoints.finish()
    return len(session.state.table)


@contextmanager
def _store(folder: Path, settings: Settings) -> Iterator[Store]:
    store = Store(folder, settings.store)
    try:
        yield store
    finally:
        store.close()
