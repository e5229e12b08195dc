"""How streams that share networks lie in rectangles of groups and rows, for products batched over groups."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core.records import F32, I32, I64


@dataclass(frozen=True, slots=True)
class Plan:
    """How A streams lie in a (groups, rows) rectangle for one batched product.

    Attributes:
        groups: Groups in use, as a slice where they are consecutive, so that no weight is copied.
        n_groups: How many.
        n_rows: Rows per group: streams of the largest group.
        place: Place of each stream in the flattened rectangle; None when it is the identity.
    """

    groups: slice | I64
    n_groups: int
    n_rows: int
    place: I64 | None


def plan_for(group_of: I32) -> Plan:
    """Lay out streams by group.

    Args:
        group_of: Group of each stream, shape (A,).

    Example:
        >>> plan_for(np.array([4, 5, 6], np.int32))
        Plan(groups=slice(4, 7, None), n_groups=3, n_rows=1, place=None)
        >>> plan_for(np.array([0, 2, 0], np.int32)).place.tolist()
        [0, 2, 1]
    """
    first, n, gaps = int(group_of[0]), len(group_of), np.diff(group_of)
    if (gaps == 1).all():  # a network each: the usual case, and its layout is the identity
        return Plan(slice(first, first + n), n, 1, None)
    if not gaps.any():  # one network for all
        return Plan(slice(first, first + 1), 1, n, None)
    groups, inverse, counts = np.unique(group_of, return_inverse=True, return_counts=True)
    n_rows = int(counts.max())
    order = np.argsort(inverse, kind="stable")
    rank = np.empty(len(group_of), np.int64)
    rank[order] = np.arange(len(group_of)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = inverse * n_rows + rank
    is_identity = len(place) == len(groups) * n_rows and bool((place == np.arange(len(place))).all())
    is_run = groups[-1] - groups[0] + 1 == len(groups)
    taken = slice(int(groups[0]), int(groups[-1]) + 1) if is_run else groups.astype(np.int64)
    return Plan(taken, len(groups), n_rows, None if is_identity else place)


def plans_for(group_of: I32) -> list[tuple[slice | I64, Plan]]:
    """Lay out streams by group, groups of like size together: a rectangle is as high as its largest group.

    Args:
        group_of: Group of each stream, shape (A,).

    Returns:
        Which streams, and their layout; together they hold every stream once.

    Example:
        >>> [(plan.n_groups, plan.n_rows) for _, plan in plans_for(np.array([0] * 100 + [1, 2, 3], np.int32))]
        [(3, 1), (1, 100)]
    """
    plan = plan_for(group_of)
    if plan.n_groups * plan.n_rows <= 2 * len(group_of):
        return [(slice(None), plan)]
    size = np.bincount(group_of)[group_of]
    classes = np.ceil(np.log2(size)).astype(np.int64)
    found = [np.flatnonzero(classes == own) for own in np.unique(classes)]
    return [(index, plan_for(group_of[index])) for index in found]


def lay(rows: F32, plan: Plan) -> Tensor:
    """Bring (A, ...) rows into the plan's (G, R, ...) rectangle, empty places zero."""
    shape = (plan.n_groups, plan.n_rows, *rows.shape[1:])
    if plan.place is None:
        return torch.from_numpy(rows).view(shape)
    laid = torch.zeros(plan.n_groups * plan.n_rows, *rows.shape[1:])
    laid[torch.from_numpy(plan.place)] = torch.from_numpy(rows)
    return laid.view(shape)


def collect(laid: Tensor, plan: Plan, n_members: int) -> F32:
    """Bring (G * E, R, N) results back to (A, E, N)."""
    by_row = laid.view(plan.n_groups, n_members, plan.n_rows, -1).transpose(1, 2)
    flat = by_row.reshape(plan.n_groups * plan.n_rows, n_members, -1)
    found: F32 = (flat if plan.place is None else flat[torch.from_numpy(plan.place)]).numpy()
    return found
