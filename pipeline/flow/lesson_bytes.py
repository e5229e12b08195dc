"""A lesson and what became of it as bytes: what a fine-tune in another process is sent, and what it answers.

Sealed like a snapshot: versioned, checksummed, nothing in the bytes is executed. An answer is held
against its lesson; what does not fit, or is not finite, is refused.
"""

import math
from dataclasses import fields

import numpy as np

from pipeline.core.columns import AnyArray
from pipeline.flow.learning import Taught
from pipeline.flow.lessons import PLACE, Lesson
from pipeline.flow.sealing import SnapshotError, seal, unseal
from pipeline.flow.state import Model
from pipeline.forecast.bank import put_by
from pipeline.forecast.gate import Outcome

_LESSON_MAGIC = b"FTLESSN3"
_TAUGHT_MAGIC = b"FTTAUGT2"
_LEARNT_MAGIC = b"FTLEARN3"
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
    if not np.isin(arrays["outcome"], list(Outcome)).all():
        raise SnapshotError("an outcome that there is not")
    return Taught(**{name: array.copy() for name, array in arrays.items()}), _seconds(metadata.get(_CPU, ""))


def pack_learnt(lesson: Lesson, taught: Taught) -> bytes:
    """Return what ``apply`` did as bytes: weights of accepted challengers alone, all else follows from the bank."""
    is_accepted = taught.outcome == Outcome.ACCEPTED
    arrays = {name: getattr(lesson, name) for name in PLACE}
    arrays |= {name: getattr(taught, name)[is_accepted] for name in ("weights", "m", "v")}
    arrays |= {"now_" + name: getattr(taught, name) for name in ("n_steps", "outcome", "is_rolled_back")}
    return seal(_LEARNT_MAGIC, arrays, {})


def unpack_learnt(data: bytes, model: Model) -> tuple[Lesson, Taught]:
    """Return what to ``apply`` to a model that is as it was when ``pack_learnt`` was called.

    Raises:
        SnapshotError: Of another version, damaged, or of other networks.
    """
    arrays, _ = unseal(_LEARNT_MAGIC, data)
    try:
        outcome, is_rolled_back = arrays["now_outcome"], arrays["now_is_rolled_back"]
        bank = model.bank.take(arrays["groups"])
        nothing = np.zeros(0)
        given: dict[str, AnyArray] = {field.name: nothing for field in fields(Lesson)} | {
            name: arrays[name] for name in PLACE
        }
        before = bank["previous"].astype(np.float32)
        champion = np.where(is_rolled_back[:, None, None], before, bank["weights"])
        is_accepted = outcome == Outcome.ACCEPTED
        now = {"weights": champion.copy(), "m": bank["m"].copy(), "v": bank["v"].copy()}
        for name, array in now.items():
            array[is_accepted] = arrays[name]
        previous = np.where(is_accepted[:, None, None], put_by(champion), bank["previous"])
    except (KeyError, IndexError, ValueError) as error:
        raise SnapshotError(f"fine-tune of other networks: {error}") from error
    taught = Taught(
        **now, previous=previous, n_steps=arrays["now_n_steps"], outcome=outcome, is_rolled_back=is_rolled_back
    )
    return Lesson(**given), taught


def max_answer_bytes(lesson: Lesson) -> int:
    """Return how long the answer to a lesson can be at most."""
    return sum(like.nbytes for like in _likenesses(lesson).values()) + _HEADER_BYTES


def _likenesses(lesson: Lesson) -> dict[str, AnyArray]:
    """Return an array of the right dtype and shape for each of an answer's."""
    n_groups = len(lesson.groups)
    return {
        **{name: getattr(lesson, name) for name in ("weights", "previous", "m", "v", "n_steps")},
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
