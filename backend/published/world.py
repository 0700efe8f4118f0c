"""Stage `root` as GVHMR publishes it: gravity-view coordinates composed into a world, then static joints held still.

Instead of our own placing: the path comes from the network's velocities, not from where the picture shows the person.
Works on a whole take at once, as the published code does; the network itself runs in overlapping stretches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..body import swaps
from ..body.pace import paced
from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import BODY, Skeleton
from ..core.smoothing import GAP
from ..motion.kinematics import forward_kinematics
from ..stages import Camera
from ..store import RecordFile
from ..world.place import Settled
from . import gravity_view, gvhmr, ik, static_joints
from .rotations import matrix_from_axis_angle
from .solvers import GVHMRSolver, following

STRETCH, HALO = 900, 120  # frames that the network is run over, and that it sees of those before and after


class GVHMRRoot:
    """See `stages.Rooter`."""

    def __init__(self, network: GVHMRSolver) -> None:
        self._network = network

    def settle(
        self, records: RecordFile, swapped: NDArray[np.bool_], solved: Array, pelvis: Array, skeleton: Skeleton,
        camera: Camera, still: bool, refined: bool,
    ) -> tuple[Settled, Array]:  # fmt: skip
        """Where the root goes, and the pose (T, 55, 4) after it was held still where the network says so.

        records: of `look.record_with`, with tokens; swapped (T,): see `swaps.swapped`; solved (T, 55, 4) and pelvis
        (T, 3): the body as it was placed in the world; camera: over that world, in the first frame; still: it neither
        turned nor travelled; refined: a foot engine has set the ankles, which are then left alone.
        Raises MocapError engine-unavailable.
        """
        found = self._run(records, swapped, camera)
        local = torch.from_numpy(rotations.to_matrix(solved[:, :BODY])).float()[None]
        offsets = torch.from_numpy(skeleton.offsets[:BODY]).float()
        steps = np.minimum(following(records.column("time").astype(float)), GAP)  # nobody knows about longer ones
        velocity = found["velocity"] * torch.from_numpy(steps).float()[None, :, None]
        turned, path = gravity_view.compose(found["in_gravity_view"], found["in_camera"], velocity, found["turn"])
        local[:, :, 0] = turned

        joints = forward_kinematics(local, offsets, path)[1]
        if still:
            in_camera = local.clone()
            in_camera[:, :, 0] = found["in_camera"]
            place = torch.from_numpy(rotations.rotate(camera.rotation, pelvis) + camera.t).float()[None]
            seen = forward_kinematics(in_camera, offsets, place)[1]
            to_world = turned[:, 0] @ found["in_camera"][:, 0].transpose(-1, -2)
            path = static_joints.static_camera(joints, seen, to_world, found["static"])
        else:
            path = static_joints.moving_camera(joints, found["static"])
        local = ik.settle_limbs(local, offsets, path, found["static"], ankles=not refined)
        return self._in_our_world(local[0], path[0], found["static"][0], solved, pelvis)

    def _run(self, records: RecordFile, swapped: NDArray[np.bool_], camera: Camera) -> dict[str, Tensor]:
        """The network over the whole take: (1, T, ...) each, and the camera's turn to the next frame."""
        parts: dict[str, list[NDArray[np.float32]]] = {}
        count = len(records)
        turns = []
        for start in range(0, count, STRETCH):
            first, stop = max(0, start - HALO), min(start + STRETCH, count)
            seen = slice(first, min(stop + HALO, count))
            window, rows = paced(swaps.exchanged(records.read(seen.start, seen.stop), swapped[seen]))
            own = rows[start - first : stop - first]
            for name, value in self._network.run(window, camera).items():
                parts.setdefault(name, []).append(value[own])
            turns.append(window["turn"][own].astype(float))
        found = {name: torch.from_numpy(np.concatenate(values))[None] for name, values in parts.items()}
        matrices = torch.from_numpy(rotations.to_matrix(np.concatenate(turns))).float()
        return {**found, "turn": gvhmr.camera_turn(matrices)[None]}

    def _in_our_world(
        self, local: Tensor, path: Tensor, static: Tensor, solved: Array, pelvis: Array
    ) -> tuple[Settled, Array]:
        """From y up to z up, turned and moved so that the first frame stands where it was placed."""
        up = torch.from_numpy(rotations.to_matrix(sk.Y_UP_TO_Z_UP)).float()
        start = torch.from_numpy(rotations.to_matrix(solved[0, 0])).float()
        between = start @ (up @ local[0, 0]).T
        yaw = torch.atan2(between[1, 0] - between[0, 1], between[0, 0] + between[1, 1])
        turn = matrix_from_axis_angle(torch.stack([torch.zeros(()), torch.zeros(()), yaw])) @ up
        place = (path @ turn.T).numpy().astype(float)
        place[:, :2] += pelvis[0, :2] - place[0, :2]
        out = solved.astype(float).copy()
        out[:, 1:BODY] = rotations.from_matrix(local[:, 1:].numpy())
        out[:, 0] = rotations.from_matrix((turn @ local[:, 0]).numpy())
        contacts = (static[:, :4] > 0).numpy().astype(np.uint8)  # ankles stand for heels, feet for toes
        stays = np.broadcast_to(rotations.IDENTITY, (len(place), 2, 4))
        return Settled(place, np.zeros((len(place), 2, 3)), stays, contacts), out


def make(file: Any, device: str) -> GVHMRRoot:
    """The engine with a user's file, GVHMR's or FootMR's. Raises as GVHMRSolver."""
    return GVHMRRoot(GVHMRSolver(file, device))
