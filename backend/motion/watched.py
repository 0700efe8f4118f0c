"""Rendered clips as the pipeline saw them, with their truth, to learn from beside synthetic ones.

A synthesiser makes detectors err as often and as far as they do, but not for the same reasons: that is to be learnt
from what they really said. `packaging/dev.py render-clips --random N` makes such clips, `backend capture` watches them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from ..body.analytic import seen_points
from ..body.tokens import HINTS, NO_TURN, TURN_SCALE, tokens
from ..core import keypoints, rotations, skeleton
from ..core.errors import MocapError
from ..core.rotations import Array
from ..core.take import Take, read_take
from ..observations import observations_of, read_about, restore, video_of
from ..stages import Camera
from ..world.camera import level_camera
from .detectors import keypoint_box
from .draw import Draw
from .kinematics import matrix_from_6d, matrix_from_axis_angle, matrix_to_6d
from .mocap import mirror
from .synthesis import Batch, resting, soles, view_from_gravity

_POINTS = keypoints.mirrored(keypoints.BODY + keypoints.FEET)
_HINTS = keypoints.mirrored(HINTS)
_JOINTS = skeleton.MIRROR[: skeleton.BODY].tolist()
_WRISTS = [skeleton.INDEX["left_wrist"], skeleton.INDEX["right_wrist"]]
_TRUNK_AND_LEGS = [3, 4, 6, 7, 9, 12]
WHOLE = ("offsets", "bones")  # tell of a clip, not of its frames
AGAIN = 0.012  # of half the box: how far keypoints are moved each time, lest they be learnt by heart
ROLL = 12.0  # degrees, one standard deviation: how far cameras are rolled, for the same reason


@dataclass(frozen=True)
class Watched:
    """Clips of different lengths (N,) in one batch; behind a clip's end are zeros."""

    clips: Batch
    lengths: Tensor

    @staticmethod
    def of(clips: Sequence[Batch]) -> Watched:
        """Clips (each a `Batch` of one)."""
        lengths = [clip.obs.shape[1] for clip in clips]
        padded = {name: pad_sequence([getattr(clip, name)[0] for clip in clips], True) for name in vars(clips[0])}
        return Watched(Batch(**padded), torch.tensor(lengths))

    def to(self, device: str) -> Watched:
        """The same clips on another device."""
        clips = Batch(**{name: tensor.to(device) for name, tensor in vars(self.clips).items()})
        return Watched(clips, self.lengths.to(device))

    def windows(self, count: int, frames: int, random: Generator) -> Batch:
        """Random windows, half of them mirrored, half of them of a camera that is rolled; where a clip ends, it goes on
        backwards."""
        draw = Draw(random, count)
        found = self._there_and_back(torch.randint(len(self.lengths), (count,), generator=random), frames, draw)
        found = found.where(draw.chance(0.5), _mirror(found))
        found = _rolled(found, torch.deg2rad(ROLL * draw.normal(1)) * draw.chance(0.5, 1))
        found.obs[..., :2] += AGAIN * draw.sway(frames, found.obs.shape[2], 2)
        return found

    def _there_and_back(self, which: Tensor, frames: int, draw: Draw) -> Batch:
        """`frames` of some clips from random starts on; from its last frame each goes backwards, and so on."""
        count, start = self.lengths[which, None], draw.between(0.0, 1.0, 1)
        starts = torch.where(count > frames, start * (count - frames), start * count).long()
        place = (torch.arange(frames) + starts) % (2 * count - 2).clamp(min=1)
        back = place >= count
        rows = torch.where(back, 2 * count - 2 - place, place)
        found = {
            name: tensor[which] if name in WHOLE else tensor[which[:, None], rows]
            for name, tensor in vars(self.clips).items()
        }
        sign = torch.where(back, -1.0, 1.0)[..., None]
        return replace(Batch(**found), velocity=found["velocity"] * sign, cam_angvel=found["cam_angvel"] * sign)


def load(folder: Path) -> Watched:
    """All takes of single persons in a folder and the folders in it, NAME.npz, whose truth lies beside them,
    NAME.truth.1.npz.

    Raises MocapError motion-unreadable where there are none, and what reading them raises.
    """
    clips = []
    for path in sorted(folder.rglob("*.truth.1.npz")):
        true, take = read_take(path), path.with_name(path.name.replace(".truth.1", ""))
        if not take.is_file():
            continue
        seen, camera = _observations(take)
        points, _ = seen_points(seen, camera)
        rows = np.abs(true["timestamps"] - seen["time"][:, None]).argmin(1)
        clips.append(_clip(tokens(seen, points, camera)._asdict(), true, rows))
    if not clips:
        raise MocapError("motion-unreadable", f"No take in {folder} has its truth beside it.", "Render clips first.")
    return Watched.of(clips)


def _observations(take: Path) -> tuple[NDArray[Any], Camera]:
    """What a take was solved from, and the camera as it is before anything is measured."""
    source = observations_of(take)
    track = int(read_take(take).provenance["track"])
    with tempfile.TemporaryDirectory() as folder, restore(source, Path(folder, "store")) as store:
        seen = np.concatenate([block.copy() for block in store.person(track).blocks()])
    return seen, level_camera(video_of(read_about(source)))


def _clip(inputs: dict[str, Array], true: Take, rows: NDArray[np.int64]) -> Batch:
    """Of what a network sees (T, ...) and the truth in the same frames, a clip to learn from."""
    count, turn = skeleton.BODY, true["R"][rows]
    local = rotations.to_matrix(true.rotations)[rows, :count]
    in_camera = local.copy()
    in_camera[:, 0] = turn @ local[:, 0]
    joints = true["joints"][rows][:, :count]
    down = -turn[..., 2]
    offsets = true["rest_offsets"][:count]
    lengths, usual = (np.linalg.norm(each, axis=-1) for each in (offsets, skeleton.neutral().offsets[:count]))
    size = lengths[_TRUNK_AND_LEGS].sum() / usual[_TRUNK_AND_LEGS].sum()
    step = np.gradient(joints, true["timestamps"][rows], axis=0)
    velocity = np.einsum("tba,tb->ta", local[:, 0], step[:, 0]) / size
    arrays = {
        **inputs,
        "local": in_camera,
        "gravity": view_from_gravity(torch.from_numpy(down)).numpy() @ in_camera[:, 0],
        "velocity": velocity,
        "offsets": offsets,
        "bones": np.log(lengths[1:] / (size * usual[1:])),
        "joints": np.einsum("tab,tjb->tja", turn, joints) + true["t"][rows][:, None],
        "down": down,
        "guess": np.broadcast_to([0.0, 1.0, 0.0], down.shape),
    }
    tensors = {name: torch.tensor(array, dtype=torch.float32)[None] for name, array in arrays.items()}
    wrists, feet, contacts = (
        torch.tensor(array, dtype=torch.float32)[None]
        for array in (joints[:, _WRISTS], true["keypoints_foot"][rows], true["contacts"][rows])
    )
    pace = torch.tensor(1 / np.median(np.diff(true["timestamps"]))).float().reshape(1, 1, 1)
    return Batch(**tensors, static=torch.cat([contacts * resting(soles(feet), pace), resting(wrists, pace)], -1))


def _mirror(clip: Batch) -> Batch:
    """The clip in a mirror: x turned round, left and right exchanged."""
    flip = torch.tensor([-1.0, 1.0, 1.0])
    local, velocity, contacts = mirror(clip.local, clip.velocity, clip.static[..., :4])
    points = clip.hints[..., :-1].unflatten(-1, (len(HINTS), 3))[..., _HINTS, :] * flip
    bones = torch.cat([torch.zeros_like(clip.bones[..., :1]), clip.bones], -1)
    return Batch(
        obs=clip.obs[..., _POINTS, :] * flip,
        cliff_cam=clip.cliff_cam * flip,
        cam_angvel=clip.cam_angvel * torch.tensor([1.0, -1, -1, -1, 1, 1]),
        hints=torch.cat([points.flatten(-2), clip.hints[..., -1:]], -1),
        local=local,
        gravity=flip[:, None] * clip.gravity * flip,
        velocity=velocity,
        static=torch.cat([contacts, clip.static[..., [5, 4]]], -1),
        offsets=clip.offsets[..., _JOINTS, :] * flip,
        bones=bones[..., _JOINTS][..., 1:],
        joints=clip.joints[..., _JOINTS, :] * flip,
        down=clip.down * flip,
        guess=clip.guess * flip,
    )


def _rolled(batch: Batch, angle: Tensor) -> Batch:
    """The clips as cameras see them that are rolled by angle (B, 1) radians: detectors turn their crops with people."""
    turn = matrix_from_axis_angle(angle[..., None] * torch.tensor([0.0, 0.0, 1.0]))  # (B, 1, 3, 3)
    back = turn.transpose(-1, -2)  # turns what is written in rows
    obs, box, points = batch.obs, batch.cliff_cam, batch.hints[..., :-1].unflatten(-1, (len(HINTS), 3))
    places = (box[:, :, None, :2] + 0.5 * obs[..., :2] * box[:, :, None, 2:]) @ back[..., :2, :2]
    box = keypoint_box(places, obs[..., 2])
    local, down = batch.local.clone(), batch.down @ back[:, 0]
    local[:, :, 0] = turn @ local[:, :, 0]
    still = torch.tensor(NO_TURN)
    step = turn @ matrix_from_6d(batch.cam_angvel / TURN_SCALE + still) @ back
    return replace(
        batch,
        obs=torch.cat([2 * (places - box[:, :, None, :2]) / box[:, :, None, 2:], obs[..., 2:]], -1),
        cliff_cam=box,
        cam_angvel=TURN_SCALE * (matrix_to_6d(step) - still),
        hints=torch.cat([(points @ back).flatten(-2), batch.hints[..., -1:]], -1),
        local=local,
        gravity=view_from_gravity(down) @ local[:, :, 0],
        joints=batch.joints @ back,
        down=down,
    )
