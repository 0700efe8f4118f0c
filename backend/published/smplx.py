"""SMPL-X (CVPR 2019) from the model file that a user has added: rest joints and surface of a body of known shape.

No package is needed: the tests hold the results to those of the package `smplx`. Only arrays are read; the objects that
the file also holds are never opened. Zero pose: hands flat; the face without expression.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core import skeleton as sk
from ..core.errors import MocapError
from ..core.rotations import Array
from ..core.skeleton import Skeleton
from ..core.take import DAMAGE

BETAS = 10
LEAST_MISFIT = 2e-4  # metres that bones may differ from a body's, however well they agree


class Shapes:
    """Rest joints as they follow from the shape."""

    def __init__(self, file: Path) -> None:
        """Raises MocapError model-unreadable or model-wrong."""
        self.file = file
        self._regressor, self._template, shapes = self._read("J_regressor", "v_template", "shapedirs")
        self._regressor, self._surface_shapes = self._regressor[: sk.COUNT], shapes[..., :BETAS]
        self._expect(self._regressor.shape == (sk.COUNT, len(self._template)))
        self._expect(self._surface_shapes.shape == (len(self._template), 3, BETAS))
        self._joints = self._regressor @ self._template  # (55, 3) metres, y up
        self._shapes = np.einsum("jv,vkb->jkb", self._regressor, self._surface_shapes)

    def joints(self, betas: Array) -> Array:
        """Rest joints (55, 3) of a body of shape betas (10,): metres, y up, in SMPL-X's own place."""
        return self._joints + self._shapes @ betas

    def skeleton(self, betas: Array) -> Skeleton:
        """The skeleton of a body of shape betas (10,), metres."""
        return sk.neutral().with_offsets(_offsets(self.joints(betas)))

    def skeleton_within(self, template: Array) -> Skeleton:
        """The skeleton of the body whose surface at rest is template (V, 3), metres. Raises MocapError model-wrong."""
        self._expect(template.shape == self._template.shape)
        return sk.neutral().with_offsets(_offsets(self._regressor @ template))

    def fitted(self, offsets: Array) -> tuple[Array, float]:
        """The shape (10,) and the size whose bones come closest to offsets (55, 3) of a `Skeleton`, metres.

        Bones that a body can have are met exactly; of those that none has, the likelier body wins: betas are normally
        distributed, and the misfit is taken to be as large as it turns out.
        """
        bones = _offsets(self._joints)[1:].reshape(-1)
        moves = np.stack([_offsets(self._shapes[..., k])[1:].reshape(-1) for k in range(BETAS)], -1)
        system, wanted = np.column_stack([bones, moves]), offsets[1:].reshape(-1)  # of size, and size * betas
        misfit = 0.01
        for _ in range(20):
            likely = np.diag([0.0, *[misfit] * BETAS])
            found, *_ = np.linalg.lstsq(np.vstack([system, likely]), np.append(wanted, np.zeros(BETAS + 1)), rcond=None)
            misfit = max(float(np.sqrt(np.mean((system @ found - wanted) ** 2))), LEAST_MISFIT)
        return found[1:] / found[0], float(found[0])

    def _read(self, *names: str) -> list[Array]:
        try:
            with np.load(self.file, allow_pickle=False) as model:
                return [np.asarray(model[name], float) for name in names]
        except DAMAGE as error:
            what = f"{self.file.name} cannot be read as an SMPL-X model ({error})."
            raise MocapError("model-unreadable", what) from error

    def _expect(self, fits: bool) -> None:
        if not fits:
            raise MocapError("model-wrong", f"{self.file.name} is not SMPL-X: its arrays have other shapes.")


class Surface(Shapes):
    """The skin as well: V vertices (10475 in the published file)."""

    faces: NDArray[np.int32]  # (F, 3) vertices of each triangle

    def __init__(self, file: Path) -> None:
        """Raises MocapError model-unreadable or model-wrong."""
        super().__init__(file)
        weights, corrections, faces = self._read("weights", "posedirs", "f")
        count = len(self._template)
        self._expect(weights.shape == (count, sk.COUNT) and faces.shape[1:] == (3,))
        self._expect(corrections.shape == (count, 3, 9 * (sk.COUNT - 1)))
        self._weights, self.faces = weights.astype(np.float32), faces.astype(np.int32)
        self._corrections = corrections.reshape(3 * count, -1).T.astype(np.float32)

    @property
    def vertices(self) -> int:
        """How many there are."""
        return len(self._template)

    def posed(self, betas: Array, local: Array, pelvis: Array, size: float = 1.0) -> NDArray[np.float32]:
        """Vertices (T, V, 3) in metres, in the frame of the poses.

        betas (10,); local (T, 55, 4) parent-relative quaternions, the root in the frame that is wanted; pelvis (T, 3)
        metres, where the joint is in it; size: of the whole body.
        """
        rest = self.joints(betas)
        shaped = self._template + self._surface_shapes @ betas
        bent = rotations.to_matrix(local[:, 1:]) - np.eye(3)
        corrected = bent.reshape(len(local), -1).astype(np.float32) @ self._corrections
        vertices = size * (shaped.astype(np.float32) + corrected.reshape(len(local), -1, 3))

        body = sk.neutral().with_offsets(size * _offsets(rest))
        turned, joints = sk.forward_kinematics(body, local, pelvis)
        matrices = rotations.to_matrix(turned)
        shifts = joints - np.einsum("tjab,jb->tja", matrices, size * rest)
        moves = np.concatenate([matrices, shifts[..., None]], -1).astype(np.float32)  # (T, 55, 3, 4)
        blended = (self._weights @ moves.reshape(len(local), sk.COUNT, 12)).reshape(len(local), -1, 3, 4)
        return np.einsum("tvab,tvb->tva", blended[..., :3], vertices) + blended[..., 3]


def _offsets(joints: Array) -> Array:
    """(55, 3) joints -> each seen from its parent; the pelvis as it is."""
    offsets = joints.copy()
    offsets[1:] -= joints[sk.PARENTS[1:]]
    return offsets
