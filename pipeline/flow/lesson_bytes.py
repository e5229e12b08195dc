"""A lesson and what became of it as bytes: what a fine-tune in another process is sent, and what it answers.

Sealed like a snapshot: versioned, checksummed, nothing in the bytes is executed. An answer is held
against its lesson; what does not fit, or is not finite, is refused.
"""

import math
from dataclasses import fields

import numpy as np

from pipeline.core.columns import AnyArray
from pipeline.flow.learning import Taught
from pipeline.flow.lessons import Lesson
from pipeline.flow.sealing import SnapshotError, seal, unseal
from pipeline.forecast.gate import Outcome

_LESSON_MAGIC = b"FTLESSN1"
_TAUGHT_MAGIC = b"FTTAUGT1"
_CPU = "cpu_s"
_HEADER_BYTES = 16_384  # of an answer, beside its arrays: far more than it has


def pack_lesson(lesson: Lesson) -> bytes:
    """Return a lesson as bytes; the same lesson gives the same bytes."""
    return seal(_LESSON_MAGIC, {field.name: getattr(lesson, field.name) for field in fields(lesson)}, {})


def unpack_lesson(data: bytes) -> Lesson:
    """Return the lesson that ``pack_lesson`` made.

    Raises:
        SnapshotError: Not a lesson of this version, or damaged.
    """
    arrays, _ = unseal(_LESSON_MAGIC, data)
    if arrays.keys() != {field.name for field in fields(Lesson)}:
        raise SnapshotError(f"not a lesson of this version: it holds {sorted(arrays)}")
    return Lesson(**{name: array.copy() for name, array in arrays.items()})  # decoded arrays are read-only


def pack_taught(taught: Taught, cpu_s: float) -> bytes:
    """Return what became of a lesson, and the processor time it took in seconds, as bytes."""
    arrays = {field.name: getattr(taught, field.name) for field in fields(taught)}
    return seal(_TAUGHT_MAGIC, arrays, {_CPU: repr(cpu_s)})


def unpack_taught(data: bytes, lesson: Lesson) -> tuple[Taught, float]:
    """Return what became of a lesson and the processor time it took, seconds.

    Args:
        data: Bytes from ``pack_taught``.
        lesson: What was taught.

    Raises:
        SnapshotError: Not an answer of this version, damaged, of other networks, or not finite.
    """
    arrays, metadata = unseal(_TAUGHT_MAGIC, data)
    if arrays.keys() != {field.name for field in fields(Taught)}:
        raise SnapshotError(f"not an answer of this version: it holds {sorted(arrays)}")
    for name, like in _likenesses(lesson).items():
        _check(name, arrays[name], like)
    if not np.isin(arrays["outcome"], list(Outcome)).all() or (arrays["v"] < 0).any():
        raise SnapshotError("an outcome that there is not, or a negative second moment")
    return Taught(**{name: array.copy() for name, array in arrays.items()}), _seconds(metadata.get(_CPU, ""))


def max_answer_bytes(lesson: Lesson) -> int:
    """Return how long the answer to a lesson can be at most."""
    return sum(like.nbytes for like in _likenesses(lesson).values()) + _HEADER_BYTES


def _likenesses(lesson: Lesson) -> dict[str, AnyArray]:
    """Return an array of the right dtype and shape for each of an answer's."""
    n_groups = len(lesson.groups)
    return {
        **dict.fromkeys(("weights", "previous", "m", "v"), lesson.weights),
        "n_steps": lesson.n_steps,
        "outcome": np.empty(n_groups, np.int8),
        "is_rolled_back": np.empty(n_groups, np.bool_),
    }


def _check(name: str, array: AnyArray, like: AnyArray) -> None:
    if array.dtype != like.dtype or array.shape != like.shape:
        raise SnapshotError(f"{name}: expected {like.dtype}{like.shape}, got {array.dtype}{array.shape}")
    if not np.isfinite(array).all():
        raise SnapshotError(f"{name}: not finite")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise SnapshotError(f"processor time {text[:40]!r} is none")
    return seconds
