"""A human body for rendered clips: MakeHuman's mesh and rig (CC0), taken over by SMPL-X's 55 joints.

Body axes: y up, facing +z, metres. `downloads.fetch_body` fetches the files.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from downloads import BODY
from numpy.typing import NDArray

from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.rotations import Array
from backend.core.skeleton import INDEX as JOINT
from backend.core.skeleton import Skeleton

# Looks: which of MakeHuman's targets, and how much of each.
WOMAN, MAN = {"caucasian-female-young": 1.0}, {"caucasian-male-young": 1.0}
UNIT = 0.1  # the files are in decimetres
TOES_OUT = np.radians(16.5)  # of feet in the zero pose

# Joint -> the bone whose head it is; "~" stands for L or R.
_HEADS = {
    "hip": "upperleg01.~", "knee": "lowerleg01.~", "ankle": "foot.~", "foot": "toe2-1.~", "collar": "clavicle.~",
    "shoulder": "upperarm01.~", "elbow": "lowerarm01.~", "wrist": "wrist.~", "eye_smplhf": "eye.~",
    **{f"{finger}{k}": f"finger{n}-{k}.~"
       for n, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"), 1) for k in (1, 2, 3)},
}  # fmt: skip
_MIDDLE_HEADS = {"neck": "neck01", "head": "head", "jaw": "jaw"}
# Part of a bone's name -> the joint that moves its skin; the first that fits. What hangs from the jaw follows it, all
# the rest of the face follows the head.
_OWNERS = (
    ("upperleg", "hip"), ("lowerleg", "knee"), ("foot", "ankle"), ("toe", "foot"), ("clavicle", "collar"),
    ("shoulder01", "collar"), ("upperarm", "shoulder"), ("lowerarm", "elbow"), ("wrist", "wrist"),
    ("metacarpal", "wrist"), ("finger1", "thumb"), ("finger2", "index"), ("finger3", "middle"), ("finger4", "ring"),
    ("finger5", "pinky"), ("root", "pelvis"), ("pelvis", "pelvis"), ("spine05", "pelvis"), ("spine04", "pelvis"),
    ("spine03", "spine1"), ("spine02", "spine1"), ("spine01", "spine3"), ("breast", "spine3"), ("neck", "neck"),
    ("", "head"),
)  # fmt: skip
_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck", "left_collar", "right_collar")
PARTS = ("skin", "shirt", "trousers", "shoes", "hair", "eye", "iris", "brow", "lips", "mouth")


@dataclass(frozen=True)
class Body:
    """A body of V vertices in its own bind pose, and how SMPL-X's joints move it.

    skeleton: its zero pose (T-pose), with the points of its feet, hands and face; bind (V, 3) metres; centers (55, 3)
    the joints in the bind pose; aligned (55, 3, 3) bind pose -> T-pose of what each joint moves; weights (V, 55);
    faces (F, 4) vertices; parts (F,) index into PARTS.
    """

    skeleton: Skeleton
    bind: Array
    centers: Array
    aligned: Array
    weights: Array
    faces: NDArray[np.int64]
    parts: NDArray[np.int64]

    def skin(self, turned: Array, joints: Array) -> Array:
        """Vertices (T, V, 3) of the body posed by global rotations (T, 55, 4) and joints (T, 55, 3), in their frame."""
        posed = np.zeros((len(turned), *self.bind.shape))
        matrices = rotations.to_matrix(turned) @ self.aligned
        for j in range(sk.COUNT):
            mine = np.flatnonzero(self.weights[:, j] > 0)
            moved = np.einsum("tab,vb->tva", matrices[:, j], self.bind[mine] - self.centers[j]) + joints[:, None, j]
            posed[:, mine] += self.weights[mine, j][:, None] * moved
        return posed


def load_body(looks: Mapping[str, float], size: float) -> Body:
    """Somebody of such looks, `size` times as large as the files have them (WOMAN about 1.68, MAN 1.75 m)."""
    vertices, groups = _read_obj()
    vertices += sum(share * _read_target(target, len(vertices)) for target, share in looks.items())
    vertices *= UNIT * size
    rig = json.loads((BODY / "rig.default.json").read_text("utf-8"))
    cubes = {name: vertices[np.unique(faces)].mean(0) for name, faces in groups.items() if name.startswith("joint-")}
    centers = _joint_centers(rig, vertices, cubes)
    aligned = _alignment(centers)
    offsets = np.zeros((sk.COUNT, 3))
    offsets[0] = sk.neutral().offsets[0]
    for j in range(1, sk.COUNT):
        p = sk.PARENTS[j]
        offsets[j] = aligned[p] @ (centers[j] - centers[p])

    faces = np.concatenate([groups[name] for name in ("body", "helper-l-eye", "helper-r-eye")])
    weights = _weights(rig, len(vertices))
    for eye in ("helper-l-eye", "helper-r-eye"):
        weights[np.unique(groups[eye])] = np.eye(sk.COUNT)[JOINT["head"]]
    lips = vertices[[rig[bone]["tail"]["vertex_index"] for bone in ("oris05", "oris01")]]
    parts = _clothes(vertices, faces, weights, groups, centers, lips.mean(0))
    used, faces = np.unique(faces, return_inverse=True)
    faces, bind, weights = faces.reshape(-1, 4), vertices[used], weights[used]
    skeleton = Skeleton(offsets, _points(bind, weights, centers, aligned, offsets, vertices, cubes, groups))
    return Body(skeleton, bind, centers, aligned, weights, faces, parts)


def _read_obj() -> tuple[Array, dict[str, NDArray[np.int64]]]:
    """-> vertices (N, 3), faces (F, 4) of each group."""
    vertices, groups, group = [], defaultdict(list), ""
    for line in (BODY / "base.obj").read_text("utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(value) for value in rest.split()])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            groups[group].append([int(corner.split("/")[0]) - 1 for corner in rest.split()])
    return np.array(vertices), {name: np.array(faces) for name, faces in groups.items()}


def _read_target(name: str, count: int) -> Array:
    moved = np.zeros((count, 3))
    with gzip.open(BODY / f"{name}.target.gz", "rt") as file:
        for line in file:
            if not line.startswith("#") and len(row := line.split()) == 4:
                moved[int(row[0])] = [float(value) for value in row[1:]]
    return moved


def _weights(rig: dict, count: int) -> Array:
    """(N, 55) how far each joint moves each vertex; rows add up to 1."""
    weights = np.zeros((count, sk.COUNT))
    for bone, rows in json.loads((BODY / "weights.default.json").read_text("utf-8"))["weights"].items():
        owner = "jaw" if _hangs_from(rig, bone, "jaw") else next(joint for part, joint in _OWNERS if part in bone)
        if bone.startswith("finger"):
            owner += bone.split("-")[1][0]
        if owner not in JOINT:
            owner = f"{'left' if bone.endswith('.L') else 'right'}_{owner}"
        if rows:
            index, weight = zip(*rows, strict=True)
            np.add.at(weights[:, JOINT[owner]], np.array(index, int), np.array(weight))
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)


def _hangs_from(rig: dict, bone: str, above: str) -> bool:
    """Whether a bone is another one or below it."""
    while bone and bone != above:
        bone = rig[bone]["parent"]
    return bone == above


def _joint_centers(rig: dict, vertices: Array, cubes: dict[str, Array]) -> Array:
    def head(bone: str) -> Array:
        told = rig[bone]["head"]
        if told["strategy"] == "CUBE":
            return cubes[told["cube_name"]]
        return vertices[told.get("vertex_indices", [told.get("vertex_index")])].mean(0)

    centers = np.zeros((sk.COUNT, 3))
    for side, letter in (("left", "L"), ("right", "R")):
        for part, bone in _HEADS.items():
            if f"{side}_{part}" in JOINT:
                centers[JOINT[f"{side}_{part}"]] = head(bone.replace("~", letter))
    for name, bone in _MIDDLE_HEADS.items():
        centers[JOINT[name]] = head(bone)
    for letter, eye in (("l", "left_eye_smplhf"), ("r", "right_eye_smplhf")):
        centers[JOINT[eye]] = cubes[f"joint-{letter}-eye"]
    # Pelvis and spine are no points of anatomy: they lie between hips and neck as in the neutral skeleton.
    rest, neck = sk.neutral().joints(), JOINT["neck"]
    low, hips = rest[[1, 2]].mean(0), centers[[1, 2]].mean(0)
    larger = (centers[neck] - hips)[1] / (rest[neck] - low)[1]
    for j in (0, JOINT["spine1"], JOINT["spine2"], JOINT["spine3"]):
        share = (rest[j] - low)[1] / (rest[neck] - low)[1]
        bulge = rest[j] - low - share * (rest[neck] - low)
        centers[j] = hips + share * (centers[neck] - hips) + larger * bulge
    return centers


def _alignment(centers: Array) -> Array:
    """(55, 3, 3): turns what each joint moves from the bind pose into SMPL-X's T-pose: limbs straight, palms down,
    soles flat, the shoulders over the hips as in the neutral skeleton; the head stays level."""
    aligned = np.broadcast_to(np.eye(3), (sk.COUNT, 3, 3)).copy()

    def trunk(joints: Array) -> Array:
        shoulders = joints[[JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(0)
        return (shoulders - joints[[1, 2]].mean(0)) * [0.0, 1.0, 1.0]

    upright = rotations.to_matrix(rotations.between(trunk(centers), trunk(sk.neutral().joints())))
    aligned[[JOINT[name] for name in _TRUNK]] = upright
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip, knee, ankle, foot, shoulder, elbow, wrist = (
            JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
        )
        down, out, ahead = np.array([0.0, -1.0, 0.0]), np.array([sign, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
        for joint, end in ((hip, knee), (knee, ankle)):
            aligned[joint] = rotations.to_matrix(rotations.between(centers[end] - centers[joint], down))
        toes = centers[foot] - centers[ankle]
        yaw = sign * TOES_OUT - np.arctan2(toes[0], toes[2])
        aligned[[ankle, foot]] = rotations.to_matrix(rotations.from_axis_angle([0.0, yaw, 0.0]))

        upper, lower = centers[elbow] - centers[shoulder], centers[wrist] - centers[elbow]
        aligned[shoulder] = rotations.frame_from(out, ahead) @ rotations.frame_from(upper, lower).T
        straight = rotations.to_matrix(rotations.between(aligned[shoulder] @ lower, out)) @ aligned[shoulder]
        fingers = {name: centers[JOINT[f"{side}_{name}1"]] for name in ("index", "middle", "pinky")}
        hand = (
            rotations.frame_from(out, ahead)
            @ rotations.frame_from(fingers["middle"] - centers[wrist], fingers["index"] - fingers["pinky"]).T
        )
        _, twist = rotations.swing_twist(rotations.from_matrix(hand @ straight.T), out)
        half = rotations.slerp(rotations.IDENTITY, twist, np.array(0.5))
        aligned[elbow] = rotations.to_matrix(half) @ straight
        aligned[wrist] = hand
        for finger in sk.FINGERS:
            aligned[[JOINT[f"{side}_{finger}{k}"] for k in (1, 2, 3)]] = hand
    return aligned


def _points(
    bind: Array,
    weights: Array,
    centers: Array,
    aligned: Array,
    offsets: Array,
    vertices: Array,
    cubes: dict[str, Array],
    groups: dict[str, NDArray[np.int64]],
) -> dict[str, tuple[int, Array]]:
    """Points of the surface on the joints that carry them, in the zero pose."""
    scaled = sk.neutral().with_offsets(offsets).points
    points = dict(scaled)

    def attach(name: str, joint: str, place: Array) -> None:
        j = JOINT[joint]
        points[name] = (j, aligned[j] @ (place - centers[j]))

    owner = weights.argmax(1)
    for side, sign, letter in (("left", 1.0, "l"), ("right", -1.0, "r")):
        ankle, foot = JOINT[f"{side}_ankle"], JOINT[f"{side}_foot"]
        sole = aligned[ankle] @ (bind[(owner == ankle) | (owner == foot)] - centers[ankle]).T
        low, back = sole[1].min(), sole[2].min()
        heel = np.array([np.median(sole[0][sole[2] < back + 0.02]), low, back + 0.008])
        points[f"{side}_heel"] = (ankle, heel)
        for name, toe in (("big_toe", f"joint-{letter}-toe-1-3"), ("small_toe", f"joint-{letter}-toe-5-4")):
            tip = aligned[ankle] @ (cubes[toe] - centers[foot])
            tip[1] = low + 0.008 - offsets[foot][1]
            points[f"{side}_{name}"] = (foot, tip)
        for n, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"), 1):
            attach(f"{side}_{finger}_tip", f"{side}_{finger}3", cubes[f"joint-{letter}-finger-{n}-4"])
        eye = vertices[np.unique(groups[f"helper-{letter}-eye"])]
        attach(f"{side}_eye", "head", np.array([*eye.mean(0)[:2], eye[:, 2].max()]))
        head = bind[owner == JOINT["head"]] * [sign, 1.0, 1.0]
        ear = head[head[:, 0] > 0.94 * head[:, 0].max()].mean(0)
        attach(f"{side}_ear", "head", ear * [sign, 1.0, 1.0])
    head = bind[owner == JOINT["head"]]
    nose = head[(np.abs(head[:, 0]) < 0.01) & (head[:, 1] < centers[JOINT["left_eye_smplhf"]][1])]
    attach("nose", "head", nose[nose[:, 2].argmax()])
    return points


def _clothes(
    vertices: Array,
    faces: NDArray[np.int64],
    weights: Array,
    groups: dict[str, NDArray[np.int64]],
    centers: Array,
    lips: Array,
) -> NDArray[np.int64]:
    """(F,) which of PARTS each face belongs to. lips: the place (3,) where they meet."""
    middle = vertices[faces].mean(1)
    owner = weights[faces].mean(1).argmax(1)
    parts = np.zeros(len(faces), int)

    def wear(part: str, *joints: str) -> None:
        names = [name for name in sk.JOINTS if name.partition("_")[2] in joints or name in joints]
        parts[np.isin(owner, [JOINT[name] for name in names])] = PARTS.index(part)

    wear("shirt", "spine1", "spine2", "spine3", "collar", "shoulder")
    wear("trousers", "pelvis", "hip", "knee")
    wear("shoes", "ankle", "foot")
    eye, on_head = centers[JOINT["left_eye_smplhf"]], np.isin(owner, [JOINT["head"], JOINT["jaw"]])
    top = middle[on_head][:, 1].max()
    high = (middle[:, 1] - eye[1]) / (top - eye[1])  # 0 at the eyes, 1 at the crown
    behind = eye[2] - middle[:, 2]
    parts[on_head & ((high > 0.55) | ((behind > 0.10) & (high > -0.4)))] = PARTS.index("hair")
    front = on_head & (behind < 0.04) & (parts == 0)
    aside = np.abs(middle[:, 0])
    parts[front & (high > 0.15) & (high < 0.24) & (aside > 0.012) & (aside < 0.052)] = PARTS.index("brow")
    high, deep = np.abs(middle[:, 1] - lips[1]), lips[2] - middle[:, 2]
    parts[front & (aside < 0.024) & (high < 0.009)] = PARTS.index("lips")
    inside = on_head & (aside < 0.03) & (high < 0.042) & (deep > 0.02 + 0.7 * aside) & (deep < 0.13)
    parts[inside] = PARTS.index("mouth")
    for name in ("helper-l-eye", "helper-r-eye"):
        ball = np.isin(faces[:, 0], np.unique(groups[name]))
        center = middle[ball].mean(0)
        parts[ball] = PARTS.index("eye")
        round_axis = np.linalg.norm((middle - center)[:, :2], axis=1) < 0.0065
        parts[ball & round_axis & (middle[:, 2] > center[2])] = PARTS.index("iris")
    return parts
