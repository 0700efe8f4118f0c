"""Body engine `lifter`: our temporal transformer turns keypoints over time into joint rotations.

What it does not do (proportions, hands, where the person is) is done as in `analytic`. `motion.lifter` trains it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import BODY, Skeleton
from ..core.skeleton import INDEX as JOINT
from ..core.smoothing import local_average, smooth_in_view, smooth_turns
from ..onnx import Network
from ..stages import Camera, Motion
from . import hands
from .analytic import SIDES, AnalyticSolver, filtered, hold_hand, joint_confidence, place_skeleton, pose, seen_points
from .bones import measured
from .face import with_face, with_jaw
from .fit import beside, fitted
from .proportions import size_of
from .tokens import from_6d, in_strands, tokens

USUAL, MOST_DOUBT = 0.05, 4.0  # metres of expected error; how much it may count
GUESS = (2.0, 3.0)  # doubt from which on the landmarks have a say, and from which on they decide
SIZE_TOLD = 0.5  # of a person's size that the 3D landmarks tell: they are off by a tenth, as much as people differ
LEANING = 1.0  # seconds over which somebody's lean is misjudged alike
CONFUSED = np.radians(9.0)  # of lean from which on it is none: the network does not know what is down there
SURE, LOST = 0.10, 0.30  # metres of expected error: full confidence up to here, none from there on


class LifterSolver(AnalyticSolver):
    """Stage `body` by the network. See `stages.BodySolver`."""

    def __init__(self, threads: int = 1) -> None:
        self._network = Network("lifter", threads)

    def measure(self, observations: NDArray[Any], camera: Camera) -> Skeleton:
        """The person's proportions from (T,) OBSERVATIONs: as large as the 3D landmarks say, shaped as the keypoints
        say, given the poses."""
        points, _ = seen_points(observations, camera)
        found = self._lift(observations, points, camera)
        turned = sk.to_global(_local(found, observations, camera))
        size = size_of(super().measure(observations, camera))
        return measured(turned, observations, camera, 1 + SIZE_TOLD * (size - 1))

    def _lift(self, observations: NDArray[Any], points: Array, camera: Camera) -> dict[str, NDArray[np.float32]]:
        """The network's outputs (T, ...) by name."""
        times = observations["time"].astype(float)
        return in_strands(
            times, lambda rows: self._network(**tokens(observations[rows], points[rows], camera)._asdict())
        )

    def solve(self, observations: NDArray[Any], skeleton: Skeleton, camera: Camera) -> Motion:
        """Pose and place `skeleton` in every frame; camera space."""
        points, weights = seen_points(observations, camera)
        times = observations["time"].astype(float)
        found = self._lift(observations, points, camera)
        error = np.exp(found["error"].astype(float))
        local = _local(found, observations, camera)
        smooth = filtered(points, weights, times)
        if (share := _fallback(error, times)).any():
            # Nobody has shown the network such a pose: what the 3D landmarks say is better than its guess.
            other = pose(smooth, weights, observations["hands"], times, skeleton)
            local = sk.to_local(rotations.slerp(sk.to_global(local), other, share[:, None]))
        placed = place_skeleton(sk.to_global(local), skeleton, observations, camera)
        local, pelvis = fitted(local, placed, skeleton, observations, camera, _doubt(error))
        local[:, :1] = smooth_in_view(local[:, :1], observations["turn"].astype(float), times)
        local[:, 1:BODY] = smooth_turns(local[:, 1:BODY], times)
        turned = sk.to_global(local)
        with_face(turned, observations, camera)
        with_jaw(turned, observations, camera)
        with_hands(turned, smooth, weights, observations["hands"], times, skeleton)
        confidence = joint_confidence(weights, observations["hands"][..., 3])
        confidence[:, :BODY] *= np.clip((LOST - error) / (LOST - SURE), 0.0, 1.0)
        return Motion(
            times,
            sk.to_local(turned),
            pelvis,
            confidence,
            down=_down(found),
            still=1.0 / (1.0 + np.exp(-found["static"].astype(float))),
            beside=beside(local, pelvis, skeleton, observations, camera),
        )


def _doubt(error: Array) -> Array:
    """(T,) how many times less sure than usual the network is; error (T, 22) metres."""
    return np.clip(error[:, 1:].mean(-1) / USUAL, 1.0, MOST_DOUBT)


def _fallback(error: Array, times: Array) -> Array:
    """(T,) 0..1: how much of each frame's pose the 3D landmarks decide; error (T, 22) metres."""
    doubt = local_average(_doubt(error)[:, None, None], times, 0.1)[:, 0, 0]
    return np.asarray(np.clip((doubt - GUESS[0]) / (GUESS[1] - GUESS[0]), 0.0, 1.0))


def _local(found: dict[str, NDArray[np.float32]], observations: NDArray[Any], camera: Camera) -> Array:
    """The network's pose as rotations (T, 55, 4), root in camera space; what is not in it hangs still.

    How far somebody leans along the line of sight hardly shows in a picture; how people stand to gravity is well known.
    So once it has been measured which way is up, the root is turned by as much as the network has that wrong: what it
    says in gravity-view coordinates holds (as in GVHMR).
    """
    local = np.broadcast_to(rotations.IDENTITY, (len(observations), sk.COUNT, 4)).copy()
    local[:, 0], local[:, 1:BODY] = from_6d(found["camera"]), from_6d(found["pose"])
    if camera.measured:
        turns, times = observations["turn"].astype(float), observations["time"].astype(float)
        down = rotations.rotate(rotations.multiply(turns, camera.rotation), [0.0, 0.0, -1.0])
        lean = rotations.to_axis_angle(rotations.between(_down(found), down))
        lean /= 1 + (np.linalg.norm(lean, axis=-1, keepdims=True) / CONFUSED) ** 4
        lean = local_average(lean[:, None], times, LEANING)[:, 0]
        local[:, 0] = rotations.multiply(rotations.from_axis_angle(lean), local[:, 0])
    return local


def _down(found: dict[str, NDArray[np.float32]]) -> Array:
    """(T, 3) gravity's direction in camera space: what takes the root from gravity-view coordinates there knows it."""
    to_camera = rotations.multiply(from_6d(found["camera"]), rotations.inverse(from_6d(found["gravity"])))
    return rotations.rotate(to_camera, [0.0, 1.0, 0.0])


def with_hands(
    turned: Array, points: Array, weights: Array, hand_points: Array, times: Array, skeleton: Skeleton
) -> None:
    """Forearms' twist, wrists and fingers, which body keypoints do not show, from the landmarks of the hands.

    Where no hand was seen the forearm stays as it is and the wrist straight: the body's own hand points tell less.
    """
    rest = skeleton.joints()
    for s, (side, _) in enumerate(SIDES):
        shoulder, elbow = (turned[:, JOINT[f"{side}_{n}"]] for n in ("shoulder", "elbow"))
        along = rotations.normalize(rest[JOINT[f"{side}_wrist"]] - rest[JOINT[f"{side}_elbow"]])
        bend, _ = rotations.swing_twist(rotations.multiply(rotations.inverse(shoulder), elbow), along)
        palm = hands.palm(points, weights, hand_points[:, s], times, rest, side)
        palm = rotations.multiply(rotations.inverse(elbow), palm)
        palm = rotations.multiply(elbow, hands.held(palm, hand_points[:, s], times))
        hold_hand(turned, rotations.multiply(shoulder, bend), palm, rest, side)
        hands.fingers(turned, hand_points[:, s], times, skeleton, side)
