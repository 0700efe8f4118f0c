"""Blender's own pose evaluation, and its inverse: from where bones should point to the values of their channels.

Rotations are global in armature space unless they are called a basis (what the channels hold). Bones that stay at
rest have arrays of one frame, which broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...backend.core import rotations
from ...backend.core.rotations import Array, inverse, multiply, rotate
from . import euler
from .model import Channels, Rig

ByRow = dict[int, Array]  # row of the bone -> (T, 4) or (T, 3); T is 1 for what does not move


def pose_globals(rig: Rig, channels: dict[str, Channels]) -> Array:
    """(T, N, 4, 4) the matrices of all bones in armature space, as Blender evaluates them without constraints.

    Parent, rest, basis, `use_inherit_rotation`, `use_local_location` and connected bones are as in
    `BKE_bone_parent_transform_calc_from_matrices`. `rig.world @` puts them into the world.
    """
    frames = max((len(a) for c in channels.values() for a in (c.rotation, c.location) if a is not None), default=1)
    out = np.empty((frames, len(rig.names), 4, 4))
    for i, name in enumerate(rig.names):
        channel = channels.get(name, Channels())
        basis = np.tile(np.eye(4), (frames, 1, 1))
        if channel.rotation is not None:
            basis[:, :3, :3] = rotations.to_matrix(channel.rotation)
        location = np.zeros((frames, 3))
        if channel.location is not None and not rig.connected[i]:
            location[:] = channel.location
        parent = rig.parents[i]
        if parent < 0:
            turning = np.broadcast_to(rig.rest[i], basis.shape)
            moving = turning.copy()
            if not rig.local_location[i]:
                moving[:, :3, :3] = np.eye(3)
        else:
            offset = np.linalg.inv(rig.rest[parent]) @ rig.rest[i]
            carried = out[:, parent] @ offset
            turning = carried if rig.inherit_rotation[i] else np.broadcast_to(rig.rest[i], basis.shape)
            moving = carried.copy()
            if not rig.local_location[i]:
                moving[:, :3, :3] = out[:, parent, :3, :3]
        out[:, i] = turning @ basis
        out[:, i, :3, 3] = np.einsum("tij,tj->ti", moving[:, :3, :3], location) + moving[:, :3, 3]
    return out


class Chain:
    """The bones that matter, with their ancestors, parents first: all the rest of the rig is never looked at."""

    def __init__(self, rig: Rig, bones: Iterable[int]) -> None:
        wanted: set[int] = set()
        for row in bones:
            while row >= 0 and row not in wanted:
                wanted.add(int(row))
                row = int(rig.parents[row])
        self.rig = rig
        self.rows = sorted(wanted)
        self.rest = rotations.from_matrix(rig.rest[:, :3, :3])
        self.heads = rig.rest[:, :3, 3]

    def above(self, row: int) -> list[int]:
        """The bone and its ancestors, upwards."""
        out = []
        while row >= 0:
            out.append(row)
            row = int(self.rig.parents[row])
        return out

    def frame(self, row: int, turned: ByRow) -> Array:
        """Rotation (T, 4) that the bone has in armature space while its basis is the identity."""
        parent = int(self.rig.parents[row])
        if parent < 0 or not self.rig.inherit_rotation[row]:
            return self.rest[row][None]
        return multiply(turned[parent], multiply(inverse(self.rest[parent]), self.rest[row]))

    def location_frame(self, row: int, turned: ByRow) -> Array:
        """Rotation (T, 4) from the bone's location channels to armature space."""
        parent = int(self.rig.parents[row])
        if parent < 0:
            return self.rest[row][None] if self.rig.local_location[row] else rotations.IDENTITY[None]
        if not self.rig.local_location[row]:
            return turned[parent]
        return multiply(turned[parent], multiply(inverse(self.rest[parent]), self.rest[row]))

    def resolve(
        self, wanted: ByRow, rows: Iterable[int] | None = None, turned: ByRow | None = None
    ) -> tuple[ByRow, ByRow]:
        """Global rotations wanted of some bones -> global rotations reached and bases (T, 4), row by row.

        A bone without a wish stays at rest; locked channels stay at rest, and the bones below make up for it. With
        `rows` and `turned` only these rows are done again.
        """
        turned = {} if turned is None else dict(turned)
        bases: ByRow = {}
        for row in self.rows if rows is None else rows:
            frame = self.frame(row, turned)
            if row in wanted:
                basis = multiply(inverse(frame), wanted[row])
                locked = self.rig.locks[row, 3:]
                if locked.any():
                    basis = euler.unlocked(basis, self.rig.rotation_modes[row], locked)
                    turned[row] = multiply(frame, basis)
                else:
                    turned[row] = wanted[row]
                bases[row] = basis
            else:
                turned[row] = frame
        return turned, bases

    def positions(self, turned: ByRow, moved: ByRow) -> ByRow:
        """Heads (T, 3) of the bones in armature space; `moved`: row -> (T, 3) how far its location moves it there."""
        out: ByRow = {}
        for row in self.rows:
            parent = int(self.rig.parents[row])
            if parent < 0:
                head = self.heads[row][None]
            else:
                offset = rotate(inverse(self.rest[parent]), self.heads[row] - self.heads[parent])
                head = out[parent] + rotate(turned[parent], offset)
            out[row] = head + moved[row] if row in moved else head
        return out

    def location(self, row: int, turned: ByRow, displacement: Array) -> Array:
        """Location channels (T, 3) that move the bone by `displacement` (T, 3) in armature space, locks permitting."""
        values = rotate(inverse(self.location_frame(row, turned)), displacement)
        return np.where(self.rig.locks[row, :3], 0.0, values)
