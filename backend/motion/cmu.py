"""What is odd about CMU's motion capture, and put right before anybody learns from it: elbows and knees."""

from __future__ import annotations

import numpy as np

from ..core import rotations, skeleton

ARM_TWIST = np.radians(-30.0)  # about x, by which CMU's upper arms must turn for their elbows to bend about y


def hinged_elbows(local: np.ndarray) -> np.ndarray:
    """Arms with elbows that bend about y, as on every character's rig.

    CMU's hinge lies 30 degrees off: the upper arm is turned about itself, bones and hands stay where they are, and
    elbow and wrist again share the forearm's twist. local (..., 22 or more, 4) quaternions, SMPL-X order, and back.
    """
    out = np.array(local, float)
    whole, half = (rotations.from_axis_angle([part * ARM_TWIST, 0.0, 0.0]) for part in (1.0, 0.5))
    for side in ("left", "right"):
        shoulder, elbow, wrist = (skeleton.INDEX[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
        out[..., shoulder, :] = rotations.multiply(out[..., shoulder, :], whole)
        out[..., elbow, :] = rotations.multiply(rotations.inverse(whole), rotations.multiply(out[..., elbow, :], half))
        out[..., wrist, :] = rotations.multiply(rotations.inverse(half), out[..., wrist, :])
    return out


def straighten_legs(local: np.ndarray, straight: np.ndarray, standing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the data's constant knee bend out of one motion.

    The flexion is remapped by a monotone curve: `straight` degrees become 1, `standing` become 7, 100 and more stay.
    The line from hip to ankle, the leg's plane and the foot's orientation stay; the pelvis rises so that the lower
    ankle stays where it was. local (T, 22, 4) quaternions; straight, standing (2,) degrees, left and right.
    -> local (T, 22, 4), lift (T, 3) metres to add to the pelvis, world.
    """
    body = skeleton.neutral()
    full = np.broadcast_to(rotations.IDENTITY, (len(local), skeleton.COUNT, 4)).copy()
    full[:, : skeleton.BODY] = local
    turned, joints = skeleton.forward_kinematics(body, full, np.zeros((len(local), 3)))
    out = turned.copy()
    for side, (hip, knee, ankle) in enumerate(((1, 4, 7), (2, 5, 8))):
        thigh, shin = (float(np.linalg.norm(body.offsets[j])) for j in (knee, ankle))
        line = joints[:, ankle] - joints[:, hip]
        reach = np.linalg.norm(line, axis=-1)
        bend = np.degrees(np.arccos(np.clip((reach**2 - thigh**2 - shin**2) / (2 * thigh * shin), -1, 1)))
        low = max(float(straight[side]), 1.0)
        mid = max(float(standing[side]), low + 4.0)
        wanted = np.radians(np.interp(bend, [0, low, mid, 100, 180], [0, 1, min(7.0, mid), 100, 180]))
        longer = np.sqrt(thigh**2 + shin**2 + 2 * thigh * shin * np.cos(wanted))
        across = rotations.rotate(turned[:, hip], [1.0, 0.0, 0.0])
        along = rotations.normalize(line)
        axis = rotations.normalize(across - np.sum(across * along, -1, keepdims=True) * along)

        def opening(near: float, far: float, distance: np.ndarray) -> np.ndarray:
            """Angle between the bone `near` and the line to the other end of the leg."""
            return np.arccos(np.clip((near**2 + distance**2 - far**2) / (2 * near * distance), -1, 1))

        for joint, near, far, sign in ((hip, thigh, shin, 1.0), (knee, shin, thigh, -1.0)):
            turn = sign * (opening(near, far, reach) - opening(near, far, longer))
            out[:, joint] = rotations.multiply(rotations.from_axis_angle(axis * turn[:, None]), out[:, joint])
    moved = skeleton.to_local(out)
    _, after = skeleton.forward_kinematics(body, moved, np.zeros((len(local), 3)))
    ankles = joints[:, [7, 8]]
    weight = np.exp(-(ankles[..., 1] - ankles[..., 1].min(1, keepdims=True)) / 0.03)
    lift = ((ankles - after[:, [7, 8]]) * weight[..., None]).sum(1) / weight.sum(1)[:, None]
    return moved[:, : skeleton.BODY], lift
