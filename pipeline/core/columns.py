"""Struct of arrays over stream slots: allocated, grown, reset, taken and restored together.

Each stage declares its per-stream state as a dataclass of arrays whose first axis is the slot.
This module knows shapes and dtypes only, not what the numbers mean.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.core.records import I64

AnyArray = NDArray[Any]


def column(dtype: DTypeLike, *dims: str, fill: float = 0) -> Any:  # noqa: ANN401 - stands for the array it declares
    """Declare one array: its dtype, the names of its trailing dimensions and its initial value."""
    return field(metadata={"dtype": np.dtype(dtype), "dims": dims, "fill": fill})


@dataclass
class SlotArrays:
    """Base of a stage's state.

    Example:
        >>> @dataclass
        ... class Level(SlotArrays):
        ...     mean: AnyArray = column(np.float64)
        ...     ring: AnyArray = column(np.float32, "window", fill=np.nan)
        >>> level = Level.empty(2, window=3)
        >>> level.grow(4)
        >>> level.mean.shape, level.ring.shape
        ((4,), (4, 3))
    """

    @classmethod
    def empty(cls, capacity: int, **dims: int) -> Self:
        """Allocate ``capacity`` slots; ``dims`` gives the size of each named trailing dimension."""
        made = {}
        for f in fields(cls):
            shape = (capacity, *(dims[d] for d in f.metadata["dims"]))
            made[f.name] = np.zeros(shape, f.metadata["dtype"])
            if f.metadata["fill"] != 0:
                made[f.name][:] = f.metadata["fill"]
        return cls(**made)

    def __setattr__(self, name: str, value: object) -> None:
        """Put another array in place; where the old one lay is forgotten."""
        super().__setattr__(name, value)
        self.__dict__.pop("_table", None)

    def __getstate__(self) -> dict[str, AnyArray]:
        """Return what a copy gets: the arrays, not where they lie."""
        return self.arrays()

    def table(self, layout: Mapping[str, tuple[DTypeLike, tuple[int, ...]]]) -> "ctypes.Array[ctypes.c_void_p]":
        """Return where the arrays lie, for a compiled helper; kept until one is replaced.

        Args:
            layout: Type and shape without the slots of every array that the helper knows, in its order.

        Raises:
            ValueError: An array is not as the helper takes it to be.

        Example:
            >>> @dataclass
            ... class Level(SlotArrays):
            ...     mean: AnyArray = column(np.float64)
            >>> level = Level.empty(2)
            >>> len(level.table({"mean": (np.float64, ())}))
            1
        """
        known, found = self.__dict__.get("_table", (None, None))
        if known is layout:
            return found  # type: ignore[no-any-return] # as below
        found = (ctypes.c_void_p * len(layout))()
        for i, (name, (dtype, shape)) in enumerate(layout.items()):
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != (self.capacity, *shape) or not array.flags.carray:
                raise ValueError(f"{type(self).__name__}.{name} is not as the compiled helper takes it to be")
            found[i] = array.ctypes.data
        self.__dict__["_table"] = layout, found
        return found

    def arrays(self) -> dict[str, AnyArray]:
        """Return the arrays by name, not copied."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def capacity(self) -> int:
        """Number of slots allocated."""
        return len(getattr(self, next(iter(self.__dataclass_fields__))))  # quick: asked every tick

    def grow(self, capacity: int) -> None:
        """Enlarge to ``capacity`` slots; existing slots keep their numbers, new ones must be ``reset`` before use.

        Until then nothing is written to them, and they take no memory: zeros are pages that are not there yet.
        """
        if capacity == self.capacity:
            return
        for f in fields(self):
            old = getattr(self, f.name)
            new = np.zeros((capacity, *old.shape[1:]), f.metadata["dtype"])
            new[: len(old)] = old
            setattr(self, f.name, new)

    def reset(self, slots: I64) -> None:
        """Return slots to their initial state."""
        for f in fields(self):
            getattr(self, f.name)[slots] = f.metadata["fill"]

    def take(self, slots: I64) -> dict[str, AnyArray]:
        """Return copies of the slots' rows, by array name."""
        return {name: array[slots] for name, array in self.arrays().items()}

    def put(self, slots: I64, rows: Mapping[str, AnyArray]) -> None:
        """Write rows made by ``take``.

        Raises:
            ValueError: A row is missing or has another dtype or shape.
        """
        for name, array in self.arrays().items():
            array[slots] = self._fitting(name, rows, len(slots))

    def adopt(self, rows: Mapping[str, AnyArray], capacity: int) -> None:
        """Take over rows made by ``take`` as all the slots there are: written to from now on, and not copied.

        Raises:
            ValueError: A row is missing or has another dtype or shape.
        """
        taken = {name: self._fitting(name, rows, capacity) for name in self.arrays()}
        for name, row in taken.items():
            setattr(self, name, np.require(row, requirements=["C", "W", "A"]))

    def _fitting(self, name: str, rows: Mapping[str, AnyArray], n: int) -> AnyArray:
        """Return ``n`` rows of one array, or say why they do not fit."""
        row, array = rows.get(name), getattr(self, name)
        expected = (n, *array.shape[1:])
        if row is None or row.shape != expected or row.dtype != array.dtype:
            got = "nothing" if row is None else f"{row.dtype}{row.shape}"
            raise ValueError(f"{type(self).__name__}.{name}: expected {array.dtype}{expected}, got {got}")
        return row
