"""CMU's motion files become training data: what is known of a pose by hand must come out of the whole conversion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.core import rotations, skeleton
from backend.core.errors import MocapError
from backend.motion import asf, convert, footing
from backend.motion.cmu import hinged_elbows

METRE = 0.45 / 0.0254  # units of length in CMU's files
S, C = np.sin(np.radians(20.0)), np.cos(np.radians(20.0))

# name, parent, direction, length in metres, axis, channels: laid out as CMU's skeletons are, left side and middle.
BONES: list[tuple[str, str, tuple[float, float, float], float, str, str]] = [
    ("lhipjoint", "root", (0.66, -0.71, 0.25), 0.13, "0 0 0", ""),
    ("lfemur", "lhipjoint", (S, -C, 0), 0.40, "0 0 20", "rx ry rz"),
    ("ltibia", "lfemur", (S, -C, 0), 0.42, "0 0 20", "rx"),
    ("lfoot", "ltibia", (0.0886837, -0.243657, 0.965798), 0.13, "-90 0 20", "rx rz"),
    ("ltoes", "lfoot", (0, 0, 1), 0.06, "-90 0 20", "rx"),
    ("lowerback", "root", (0, 1, 0), 0.11, "0 0 0", "rx ry rz"),
    ("upperback", "lowerback", (0, 1, 0), 0.11, "0 0 0", "rx ry rz"),
    ("thorax", "upperback", (0, 1, 0), 0.11, "0 0 0", "rx ry rz"),
    ("lowerneck", "thorax", (0, 1, 0), 0.08, "0 0 0", "rx ry rz"),
    ("upperneck", "lowerneck", (0, 1, 0), 0.08, "0 0 0", "rx ry rz"),
    ("head", "upperneck", (0, 1, 0), 0.09, "0 0 0", "rx ry rz"),
    ("lclavicle", "thorax", (0.97, 0.24, 0), 0.20, "0 0 0", "ry rz"),
    ("lhumerus", "lclavicle", (1, 0, 0), 0.29, "180 -30 -90", "rx ry rz"),
    ("lradius", "lhumerus", (1, 0, 0), 0.18, "180 -30 -90", "rx"),
    ("lwrist", "lradius", (1, 0, 0), 0.09, "0 90 90", "ry"),
    ("lhand", "lwrist", (1, 0, 0), 0.05, "0 90 90", "rx rz"),
]
LIMBS = {"hip": "femur", "knee": "tibia", "shoulder": "humerus", "elbow": "radius"}
T_POSE = {"lfemur": (0, 0, -20), "rfemur": (0, 0, 20)}  # CMU's zero pose has its legs apart


def both_sides() -> list[tuple[str, str, np.ndarray, float, str, str]]:
    bones = []
    for name, parent, direction, length, axis, channels in BONES:
        bones.append((name, parent, np.array(direction), length, axis, channels))
        if name.startswith("l") and not name.startswith("lower"):
            carrier = "r" + parent[1:] if parent.startswith("l") and not parent.startswith("lower") else parent
            angles = [float(angle) for angle in axis.split()]
            mirrored = " ".join(str(angle * sign) for angle, sign in zip(angles, (1, -1, -1), strict=True))
            bones.append(("r" + name[1:], carrier, direction * np.array([-1, 1, 1]), length, mirrored, channels))
    return bones


def write_skeleton(path: Path) -> Path:
    lines = [":version 1.10", ":units", "  mass 1.0", "  length 0.45", "  angle deg", ":root"]
    lines += ["  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0", "  orientation 0 0 0", ":bonedata"]
    for name, _, direction, length, axis, channels in both_sides():
        words = " ".join(str(value) for value in direction)
        lines += ["  begin", f"    name {name}", f"    direction {words}", f"    length {length * METRE}"]
        lines += [f"    axis {axis}  XYZ"]
        if channels:
            lines += [f"    dof {channels}"] + ["    limits (-180.0 180.0)"] * len(channels.split())
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    for parent in dict.fromkeys(bone[1] for bone in both_sides()):
        lines += [f"    {parent} " + " ".join(bone[0] for bone in both_sides() if bone[1] == parent)]
    path.write_text("\n".join([*lines, "  end", ""]))
    return path


def write_motion(path: Path, roots: np.ndarray, *poses: dict[str, tuple[float, ...]]) -> Path:
    """roots (T, 3) metres; one pose for all frames, or one for each: bone -> degrees of its channels."""
    lines = ["# made for a test", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame, root in enumerate(roots):
        pose = poses[frame if len(poses) > 1 else 0]
        lines += [str(frame + 1), "root " + " ".join(f"{v:.9g}" for v in (*root * METRE, *pose.get("root", (0, 0, 0))))]
        for name, *_, channels in both_sides():
            if channels:
                angles = pose.get(name, (0.0,) * len(channels.split()))
                lines.append(f"{name} " + " ".join(f"{angle:.9g}" for angle in angles))
    path.write_text("\n".join([*lines, ""]))
    return path


def stand(frames: int, speed: float = 0.0, rate: float = 120.0) -> np.ndarray:
    return np.array([0.0, 1.0, 0.0]) + np.arange(frames)[:, None] / rate * [0.0, 0.0, speed]


def converted(folder: Path, **options: float) -> dict[str, np.ndarray]:
    path = convert.convert([folder], folder / "motions.npz", tell=lambda _: None, **options)
    with np.load(path) as data:
        return dict(data)


def posed(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-> local quaternions, joints, contact points of all frames, as the README's rule says."""
    pose = np.concatenate([data["root_orient"][:, None], data["body_pose"].astype(float)], axis=1)
    local = rotations.from_axis_angle(pose)
    joints, points = footing.place(skeleton.to_global(local), data["trans"].astype(float))
    return local, joints, points


def direction(joints: np.ndarray, side: str, name: str) -> np.ndarray:
    after = {"hip": "knee", "knee": "ankle", "shoulder": "elbow", "elbow": "wrist"}[name]
    start, end = (skeleton.INDEX[f"{side}_{joint}"] for joint in (name, after))
    return rotations.normalize(joints[:, end] - joints[:, start])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_skeleton(tmp_path / "02.asf")
    return tmp_path


def test_lengths_become_metres_and_bones_hang_together(folder: Path) -> None:
    source = asf.read_skeleton(folder / "02.asf")
    trial = asf.read_trial(write_motion(folder / "02_01.amc", stand(3), {}), source)
    assert np.linalg.norm(source.rest("lfemur")) == pytest.approx(0.40)
    np.testing.assert_allclose(trial.end("root"), stand(3), atol=1e-7)
    knee = trial.end("lhipjoint") + 0.40 * np.array([S, -C, 0])
    np.testing.assert_allclose(trial.end("ltibia"), knee + 0.42 * np.array([S, -C, 0]), atol=1e-6)


def test_the_t_pose_is_the_zero_pose(folder: Path) -> None:
    write_motion(folder / "02_01.amc", stand(240), T_POSE)
    data = converted(folder)
    local, joints, points = posed(data)
    rest = skeleton.neutral().joints()
    for side, outwards in (("left", 1.0), ("right", -1.0)):
        for name in ("knee", "shoulder", "elbow", "wrist"):
            turn = rotations.to_axis_angle(local[:, skeleton.INDEX[f"{side}_{name}"]])
            np.testing.assert_allclose(turn, 0.0, atol=1e-3, err_msg=f"{side}_{name}")
        np.testing.assert_allclose(direction(joints, side, "hip"), [[0, -1, 0]] * len(joints), atol=1e-3)
        np.testing.assert_allclose(direction(joints, side, "elbow"), [[outwards, 0, 0]] * len(joints), atol=1e-3)
    # The soles lie flat on the floor (toes are 8 mm thinner than heels), and point ahead as CMU's feet here do.
    assert data["contacts"].all() and data["seq_flat_floor"].all()
    np.testing.assert_allclose(points[..., 1], [[-0.004, 0.004] * 2] * len(points), atol=1e-3)
    toes = joints[:, skeleton.INDEX["left_foot"]] - joints[:, skeleton.INDEX["left_ankle"]]
    np.testing.assert_allclose(toes[:, 0], 0.0, atol=2e-3)
    # The trunk keeps what is usual of people's pelvis: a few degrees.
    assert np.abs(joints[:, skeleton.INDEX["head"]] - joints[:, 0] - rest[skeleton.INDEX["head"]]).max() < 0.03


def test_a_bent_elbow_bends_about_cmus_axis_and_the_loader_turns_it_to_the_rigs(folder: Path) -> None:
    write_motion(folder / "02_01.amc", stand(240), {**T_POSE, "lradius": (90.0,), "rradius": (90.0,)})
    local, joints, _ = posed(converted(folder))
    half, most = 0.5, np.sqrt(0.75)  # CMU's hinge lies 30 degrees off
    np.testing.assert_allclose(direction(joints, "left", "elbow"), [[0, half, most]] * len(joints), atol=1e-3)
    np.testing.assert_allclose(direction(joints, "right", "elbow"), [[0, half, most]] * len(joints), atol=1e-3)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        elbow = hinged_elbows(local)[:, skeleton.INDEX[f"{side}_elbow"]]
        hinge, _ = rotations.swing_twist(elbow, [1.0, 0.0, 0.0])
        np.testing.assert_allclose(
            rotations.to_axis_angle(hinge), [[0, sign * np.pi / 2, 0]] * len(hinge), atol=2e-3, err_msg=side
        )


def test_a_turned_forearm_is_shared_by_elbow_and_wrist(folder: Path) -> None:
    write_motion(folder / "02_01.amc", stand(240), {**T_POSE, "lwrist": (-60.0,)})
    local, joints, _ = posed(converted(folder))
    twists = [rotations.to_axis_angle(local[:, skeleton.INDEX[f"left_{name}"]]) for name in ("elbow", "wrist")]
    np.testing.assert_allclose(twists[0], twists[1], atol=2e-3)
    np.testing.assert_allclose(np.abs(np.degrees(twists[0])), [[30, 0, 0]] * len(joints), atol=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_limbs_point_where_the_sources_point(folder: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    bent = {"ltibia": (70.0,), "rtibia": (40.0,), "lradius": (80.0,), "rradius": (15.0,)}
    turned = {f"{side}{bone}": tuple(random.uniform(-40, 40, 3)) for side in "lr" for bone in ("femur", "humerus")}
    pose = {"root": tuple(random.uniform(-60, 60, 3)), "thorax": tuple(random.uniform(-20, 20, 3)), **bent, **turned}
    trial = asf.read_trial(write_motion(folder / "02_01.amc", stand(240), pose), asf.read_skeleton(folder / "02.asf"))
    _, joints, _ = posed(converted(folder))
    for side in ("left", "right"):
        for name, bone in LIMBS.items():
            index = trial.skeleton.index(side[0] + bone)
            theirs = trial.ends[0, index] - trial.ends[0, trial.skeleton.bones[index].parent]
            np.testing.assert_allclose(
                direction(joints, side, name), [rotations.normalize(theirs)] * len(joints), atol=2e-3, err_msg=name
            )


def test_time_runs_as_it_was_recorded(folder: Path) -> None:
    hovering = {**T_POSE, "lfoot": (30.0, 0.0)}
    write_motion(folder / "02_01.amc", stand(240, speed=1.2), hovering)
    data = converted(folder)
    scale = (0.3997 + 0.4296) / (0.40 + 0.42)  # ours are the legs of a mean person
    assert data["fps"] == 30 and len(data["trans"]) == 60
    np.testing.assert_allclose(np.diff(data["trans"], axis=0)[5:-5], [[0, 0, 1.2 * scale / 30]] * 49, atol=1e-3)
    assert len(converted(folder, rate=60.0)["trans"]) == 120
    assert convert.source_rate("60_01") == 60.0 and convert.source_rate("02_01") == 120.0


def test_a_lifted_foot_has_no_contact_and_the_other_one_keeps_still(folder: Path) -> None:
    trembling = [0.3 * np.sin(t / 6) for t in range(480)]  # degrees of the whole body: 5 mm at the feet
    lifted = [{**T_POSE, "rtibia": (min(60.0, t / 2),), "root": (0, 0, angle)} for t, angle in enumerate(trembling)]
    write_motion(folder / "02_01.amc", stand(480), *lifted)
    data = converted(folder)
    _, _, points = posed(data)
    late = slice(40, -5)
    assert data["contacts"][late, :2].all() and not data["contacts"][late, 2:].any()
    assert np.abs(points[late, 0] - np.median(points[late, 0], axis=0)).max() < 1e-3
    assert abs(np.median(points[late, :2, 1])) < 0.005


def test_a_motion_is_cut_where_it_jumps(folder: Path) -> None:
    roots = stand(480)
    roots[240:] += [0.0, 0.0, 1.5]
    write_motion(folder / "02_01.amc", roots, T_POSE)
    data = converted(folder)
    assert data["seq_name"].tolist() == ["02_01a", "02_01b"]
    assert data["seq_start"].tolist() == [0, data["seq_length"][0]] and data["seq_length"].sum() == len(data["trans"])
    assert np.abs(np.diff(data["trans"][: data["seq_length"][0]], axis=0)).max() < 0.01


def test_damaged_files_are_named_and_the_rest_is_converted(folder: Path) -> None:
    whole = write_motion(folder / "02_01.amc", stand(240), T_POSE).read_text()
    (folder / "02_02.amc").write_text(whole[: len(whole) // 2])
    (folder / "02_03.amc").write_text(whole.replace("lradius 0", "lradius nan"))
    (folder / "02_04.amc").write_text(whole.replace("rfemur 0 0 20\n", "rfemur 0 20\n", 1))
    (folder / "02_05.amc").write_text("")
    (folder / "walk.amc").write_text(whole)
    write_motion(folder / "02_06.amc", stand(60), T_POSE)  # half a second
    (folder / "05.asf").write_text((folder / "02.asf").read_text().replace("lhand", "lpalm"))
    (folder / "05_01.amc").write_text(whole.replace("lhand", "lpalm"))
    (folder / "alone").mkdir()
    (folder / "alone" / "03_01.amc").write_text(whole)
    said: list[str] = []
    convert.convert([folder], folder / "motions.npz", tell=said.append)
    left_out = [line for line in said if line.startswith("left out")]
    for name in ("02_02", "02_03", "02_04", "02_05", "02_06", "subject 5", "walk", "03_01"):
        assert any(name in line for line in left_out), (name, said)
    assert np.load(folder / "motions.npz")["seq_name"].tolist() == ["02_01"]


@pytest.mark.parametrize("without", [":units", "name lfemur", "direction", "    ltibia lfoot\n", "axis 0 0 20  XYZ"])
def test_a_damaged_skeleton_is_told(folder: Path, without: str) -> None:
    text = (folder / "02.asf").read_text()
    assert without in text
    (folder / "02.asf").write_text(text.replace(without, "", 1))
    with pytest.raises(MocapError) as told:
        asf.read_skeleton(folder / "02.asf")
    assert told.value.code == "motion-unreadable" and "02.asf" in str(told.value)


def test_the_command_writes_the_arrays(root: Path, folder: Path) -> None:
    write_motion(folder / "02_01.amc", stand(240), T_POSE)
    write_skeleton(folder / "05.asf")
    write_motion(folder / "05_01.amc", stand(240), T_POSE)
    (folder / "index.csv").write_text('MOTION,DESCRIPTION\n02_01,"boxing, then a walk",Subject #2\n')
    command = [sys.executable, "-m", "backend", "convert", folder, "-o", folder / "out.npz", "--subjects", "2"]
    done = subprocess.run(
        [*map(str, command), "--titles", str(folder / "index.csv")], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    data = np.load(folder / "out.npz")
    frames = len(data["trans"])
    assert frames == 60
    shapes = {name: (data[name].dtype, data[name].shape) for name in ("body_pose", "root_orient", "trans", "contacts")}
    assert shapes == {
        "body_pose": (np.float16, (frames, 21, 3)),
        "root_orient": (np.float32, (frames, 3)),
        "trans": (np.float32, (frames, 3)),
        "contacts": (bool, (frames, 4)),
    }
    assert data["seq_subject"].tolist() == [2] and data["seq_category"].tolist() == ["martial_arts"]
    assert data["seq_knee_straight_deg"].shape == data["seq_knee_standing_deg"].shape == (1, 2)

    nothing = subprocess.run([*map(str, command[:-1]), "9"], cwd=root, capture_output=True, text=True)
    assert nothing.returncode == 3 and "motion-unreadable" in nothing.stderr
