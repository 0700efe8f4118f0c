"""Rigs and motion made up for tests: humanoids whose bones are built in any way that an animator's might be."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from video_mocap.backend.core import rotations, skeleton
from video_mocap.backend.core.rotations import Array
from video_mocap.backend.core.skeleton import INDEX, JOINTS, Skeleton
from video_mocap.mocap_addon.retarget import euler
from video_mocap.mocap_addon.retarget.model import Mapping, Rig, SourceMotion

SIDES = ("left", "right")


@dataclass
class Build:
    """How a rig is built. Angles in degrees; proportions: joint -> factor on the length of the bone above it."""

    seed: int = 0
    arms: float = 0.0  # how far the arms hang in the rest pose
    forearms: float = 0.0  # how far the elbows are bent forwards in it
    legs: float = 0.0  # how far the legs are spread in it
    curl: float = 0.0  # how far the fingers are bent in it
    spine: int = 3
    neck: int = 1
    fingers: int = 3
    collars: bool = True
    toes: bool = True
    between: bool = False  # bones without a role, above every mapped one
    twists: str = ""  # "beside" the limbs, or as "links" of them
    wild: bool = False  # bone axes as importers make them: anywhere
    flags: bool = False  # random use_inherit_rotation, use_local_location and rotation modes
    proportions: dict[str, float] = field(default_factory=dict)
    turn: Array = field(default_factory=lambda: rotations.IDENTITY)  # of the armature's own space
    world: Array = field(default_factory=lambda: np.eye(4))
    size: float = 1.0  # object units in a metre
    lift: float = 0.0  # metres by which the armature's origin is below the soles


def body_of(build: Build) -> Skeleton:
    body = skeleton.neutral()
    offsets = body.offsets.copy()
    for part, factor in build.proportions.items():
        for joint in JOINTS:
            if part in joint:
                offsets[INDEX[joint]] *= factor
    return body.with_offsets(offsets)


def build_rig(build: Build) -> tuple[Rig, Mapping]:
    """The rig with its mapping; bones are named after what they do."""
    rng = np.random.default_rng(build.seed)
    body = body_of(build)
    local = np.tile(rotations.IDENTITY, (1, 55, 1))

    def bend(joint: str, axis: list[float], degrees: float) -> None:
        local[0, INDEX[joint]] = rotations.from_axis_angle(np.radians(degrees) * np.array(axis))

    for side, sign in (("left", 1.0), ("right", -1.0)):
        bend(f"{side}_shoulder", [0.0, 0.0, -sign], build.arms)
        bend(f"{side}_elbow", [0.0, -sign, 0.0], build.forearms)
        bend(f"{side}_hip", [0.0, 0.0, sign], build.legs)
        bend(f"{side}_ankle", [0.0, 0.0, -sign], build.legs)
        for finger in ("index", "middle", "ring", "pinky"):
            for k in (1, 2, 3):
                bend(f"{side}_{finger}{k}", [0.0, 0.0, -sign], build.curl)
    turned, joints = skeleton.forward_kinematics(body, local, np.zeros((1, 3)))
    soles = skeleton.posed_points(body, turned, joints, skeleton.FOOT_POINTS)
    up = skeleton.Y_UP_TO_Z_UP
    floor = [0.0, soles[0, :, 1].min() - build.lift, 0.0]
    points = {name: rotations.rotate(up, joints[0, i] - floor) for name, i in INDEX.items()}
    tips = {
        name: rotations.rotate(up, joints[0, j] + rotations.rotate(turned[0, j], p) - floor)
        for name, (j, p) in body.points.items()
    }

    bones: list[tuple[str, str, Array, Array]] = []  # name, parent, head, tail
    mapping = Mapping("built")

    def add(role: str, name: str, parent: str, head: Array, tail: Array) -> str:
        if build.between:
            bones.append((f"{name} holder", parent, head - rng.normal(0, 0.01, 3), head))
            parent = f"{name} holder"
        bones.append((name, parent, head, tail))
        mapping.bones.setdefault(role, []).append(name)
        return name

    def twist(role: str, parent: str, end: Array) -> str:
        """-> the bone that carries what follows."""
        if not build.twists:
            return parent
        middle = points[role] * 0.5 + end * 0.5 + (rng.normal(0, 0.01, 3) if build.twists == "links" else 0.0)
        bones.append((f"{role} twist", parent, middle, end))
        mapping.twists[role] = [f"{role} twist"]
        return f"{role} twist" if build.twists == "links" else parent

    bones.append(("root", "", np.zeros(3), np.array([0.0, 0.2, 0.0])))
    mapping.bones["root"] = ["root"]
    add("pelvis", "pelvis", "root", points["pelvis"], points["spine1"])
    line = np.array([points[j] for j in ("spine1", "spine2", "spine3", "neck")])

    def along(count: int) -> Array:
        at = np.linspace(0.0, 3.0, count + 1)
        return np.stack([np.interp(at, range(4), line[:, k]) for k in range(3)], axis=-1)

    chest = "pelvis"
    if build.spine:
        heads = along(build.spine)
        for k in range(build.spine):
            chest = add("spine", f"spine {k}", chest, heads[k], heads[k + 1])
    top = chest
    if build.neck:
        at = np.linspace(0.0, 1.0, build.neck + 1)[:, None]
        heads = points["neck"] * (1 - at) + points["head"] * at
        for k in range(build.neck):
            top = add("neck", f"neck {k}", top, heads[k], heads[k + 1])
    add("head", "head", top, points["head"], tips["head_top"])
    for side in SIDES:
        add_limb = [f"{side}_{j}" for j in ("collar", "shoulder", "elbow", "wrist")]
        parent = chest
        ends = [points[j] for j in add_limb[1:]] + [points[f"{side}_middle1"]]
        for role, end in list(zip(add_limb, ends, strict=True))[0 if build.collars else 1 :]:
            parent = add(role, role, parent, points[role], end)
            if "collar" not in role and "wrist" not in role:
                parent = twist(role, parent, end)
        for finger in skeleton.FINGERS if build.fingers else ():
            knots = np.array([*(points[f"{side}_{finger}{k}"] for k in (1, 2, 3)), tips[f"{side}_{finger}_tip"]])
            at = np.linspace(0.0, 3.0, build.fingers + 1)
            heads = np.stack([np.interp(at, range(4), knots[:, k]) for k in range(3)], axis=-1)
            above = parent
            for k in range(build.fingers):
                role = f"{side}_{finger}{min(k + 1, 3)}"
                above = add(role, f"{side} {finger} {k}", above, heads[k], heads[k + 1])
        parent = "pelvis"
        limb = [f"{side}_{j}" for j in ("hip", "knee", "ankle")]
        for role, end in zip(limb, [*(points[j] for j in limb[1:]), points[f"{side}_foot"]], strict=True):
            parent = add(role, role, parent, points[role], end)
            if "ankle" not in role:
                parent = twist(role, parent, end)
        if build.toes:
            add(f"{side}_foot", f"{side}_foot", parent, points[f"{side}_foot"], tips[f"{side}_big_toe"])

    names = tuple(bone[0] for bone in bones)
    index = {name: i for i, name in enumerate(names)}
    count = len(names)
    rest = np.tile(np.eye(4), (count, 1, 1))
    for i, (_, _, head, tail) in enumerate(bones):
        axes = rotations.between([0.0, 1.0, 0.0], tail - head)
        axes = rotations.multiply(axes, rotations.from_axis_angle([0.0, rng.uniform(-np.pi, np.pi), 0.0]))
        if build.wild:
            axes = rotations.normalize(rng.normal(size=4))
        rest[i, :3, :3] = rotations.to_matrix(rotations.multiply(build.turn, axes))
        rest[i, :3, 3] = rotations.rotate(build.turn, head) * build.size
    flags = rng.random((2, count)) < 0.3 if build.flags else np.zeros((2, count), bool)
    # A bone without a task that keeps its orientation moves what hangs on it: no rotation below can make up for that.
    flags[0] &= [not name.endswith(("holder", "twist")) for name in names]
    modes = ("QUATERNION", "AXIS_ANGLE", *euler.ORDERS)
    rig = Rig(
        names=names,
        parents=np.array([index[parent] if parent else -1 for _, parent, _, _ in bones]),
        rest=rest,
        lengths=np.array([np.linalg.norm(tail - head) for _, _, head, tail in bones]) * build.size,
        inherit_rotation=~flags[0],
        local_location=~flags[1],
        connected=np.zeros(count, bool),
        rotation_modes=tuple(rng.choice(modes) for _ in names) if build.flags else ("QUATERNION",) * count,
        locks=np.zeros((count, 7), bool),
        world=np.asarray(build.world, float),
    )
    return rig, mapping


def random_motion(seed: int, frames: int = 4, body: Skeleton | None = None) -> SourceMotion:
    """Poses of a body that stands anyhow, in the world."""
    rng = np.random.default_rng(seed)
    local = rotations.from_axis_angle(rng.normal(0, 0.4, (frames, 55, 3)))
    local[:, 0] = rotations.multiply(local[:, 0], skeleton.Y_UP_TO_Z_UP)
    local[:, 0] = rotations.multiply(rotations.from_axis_angle([0, 0, rng.uniform(-3, 3)]), local[:, 0])
    for joint in ("jaw", "left_eye_smplhf", "right_eye_smplhf"):  # the built rigs have no face
        local[:, INDEX[joint]] = rotations.IDENTITY
    pelvis = rng.normal(0, 1, (frames, 3)) + [0, 0, 1.0]
    times = np.arange(frames) / 30.0
    return SourceMotion(times, body or skeleton.neutral(), local, pelvis, np.zeros((frames, 4), np.uint8))


def walk(seconds: float = 4.0, rate: float = 60.0, body: Skeleton | None = None) -> SourceMotion:
    """A person who walks towards -y: heel first, rolling over the foot, off with the toes, arms swinging."""
    body = body or skeleton.neutral()
    times = np.arange(round(seconds * rate)) / rate
    frames, stride, period = len(times), 1.1, 1.1
    local = np.tile(rotations.IDENTITY, (frames, 55, 1))
    contacts = np.zeros((frames, 4), np.uint8)
    a, b = (float(np.linalg.norm(body.offsets[INDEX[f"left_{j}"]])) for j in ("knee", "ankle"))
    pelvis = np.zeros((frames, 3))
    pelvis[:, 1] = -stride / period * times
    hip_height = 0.93 * (a + b)
    for s, side in enumerate(SIDES):
        heel, toes = (np.array([p[2], p[1]]) for p in _sole(body, side))  # forward and up, from the ankle
        phase = times / period + 0.5 * s
        step, u = np.floor(phase), phase % 1.0
        pitch = np.interp(u, [0.0, 0.12, 0.4, 0.6, 0.8, 1.0], [0.25, 0.0, 0.0, -0.45, 0.1, 0.25])  # toes up
        rolling = np.where(u < 0.12, 0, 1)
        pivot = np.array([heel, toes])[rolling]
        ground = (step[:, None] - 0.5 * s + 0.3) * [stride, 0.0]
        ankle = ground + [0.0, -heel[1]] + pivot - _pitched(pivot, pitch)
        # The swing joins where the foot leaves and where it will come down.
        swing = u >= 0.6
        leave = ground + [0.0, -heel[1]] + toes - _pitched(toes, np.array(-0.45))
        land = ground + [stride, -heel[1]] + heel - _pitched(heel, np.array(0.25))
        x = np.clip((u - 0.6) / 0.4, 0.0, 1.0)[:, None]
        way = x * x * (3 - 2 * x)
        ankle = np.where(swing[:, None], leave * (1 - way) + land * way + [0.0, 0.06] * np.sin(np.pi * x) ** 2, ankle)
        contacts[:, 2 * s] = u < 0.4
        contacts[:, 2 * s + 1] = (u >= 0.12) & (u < 0.6)
        # Thigh and shin in the plane of walking.
        away = ankle - np.stack([stride / period * times, np.full(frames, hip_height - heel[1])], axis=-1)
        reach = np.linalg.norm(away, axis=-1)
        line = np.arctan2(away[:, 0], -away[:, 1])
        lift = np.arccos((a * a + reach**2 - b * b) / (2 * a * reach))
        knee = np.pi - np.arccos((a * a + b * b - reach**2) / (2 * a * b))
        ex = np.array([1.0, 0.0, 0.0])
        thigh = -(line + lift)
        local[:, INDEX[f"{side}_hip"]] = rotations.from_axis_angle(thigh[:, None] * ex)
        local[:, INDEX[f"{side}_knee"]] = rotations.from_axis_angle(knee[:, None] * ex)
        local[:, INDEX[f"{side}_ankle"]] = rotations.from_axis_angle((-thigh - knee - pitch)[:, None] * ex)
        sign = 1.0 if side == "left" else -1.0
        local[:, INDEX[f"{side}_shoulder"]] = rotations.multiply(
            rotations.from_axis_angle((0.4 * np.cos(2 * np.pi * (phase + 0.5)))[:, None] * -ex),
            rotations.from_axis_angle([0.0, 0.0, -sign * 1.25]),
        )
    hips = body.offsets[[INDEX["left_hip"], INDEX["right_hip"]], 1].mean()
    pelvis[:, 2] = hip_height - float(_sole(body, "left")[0][1]) - hips
    local[:, 0] = skeleton.Y_UP_TO_Z_UP
    return SourceMotion(times, body, local, pelvis, contacts)


def _pitched(v: Array, angle: Array) -> Array:
    """(..., 2) forward and up, turned upwards by angles in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * v[..., 0] - s * v[..., 1], s * v[..., 0] + c * v[..., 1]], axis=-1)


def _sole(body: Skeleton, side: str) -> tuple[Array, Array]:
    """Heel and middle of the toes (3,) seen from the ankle in the zero pose."""
    foot = body.offsets[INDEX[f"{side}_foot"]]
    toes = np.mean([body.points[f"{side}_{toe}"][1] for toe in ("big_toe", "small_toe")], axis=0) + foot
    heel = body.points[f"{side}_heel"][1]
    return heel, np.array([toes[0], heel[1], toes[2]])
