"""The landmark models on a real person: geometry of crops, axes, sides, several looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backend import embedded
from backend.core import keypoints
from backend.core.errors import MocapError
from backend.core.rotations import Array
from backend.landmarks import pose
from backend.landmarks.crop import cut, roi_along
from backend.landmarks.face import FaceModel
from backend.landmarks.hands import HandModel
from backend.landmarks.multicrop import JOINTS, fused, torso_length, weighted_median
from backend.landmarks.pose import INDEX, MIRROR, SIZE, PoseLook, PoseModel, sharpened
from backend.landmarks.wholebody import observe, recall
from backend.people.detector import PoseDetector
from backend.stages import Frame, Roi
from backend.video import VideoReader


@pytest.fixture(scope="module")
def pose_model() -> PoseModel:
    return PoseModel()


@pytest.fixture(scope="module")
def frame(demo_clip: Path) -> Frame:
    """A woman walks to the left, both arms in sight, a man stands on a wall."""
    with VideoReader(demo_clip, first_frame=104) as reader:
        return next(iter(reader))


def look_at_walker(frame: Frame, model: PoseModel) -> PoseLook:
    walker = max(PoseDetector().detect(frame.rgb), key=lambda detection: detection.roi.y)
    return model.look(frame.rgb, model.look(frame.rgb, walker.roi).roi)


@pytest.fixture(scope="module")
def walker(frame: Frame, pose_model: PoseModel) -> PoseLook:
    return look_at_walker(frame, pose_model)


def test_models_are_the_ones_we_tested_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert all(embedded.is_genuine(name) for name in embedded.MODELS)
    monkeypatch.setattr(embedded, "folder", lambda: tmp_path)
    with pytest.raises(MocapError) as caught:
        embedded.model_path("pose_detection.tflite")
    assert caught.value.code == "models-missing"


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("side", [100.0, 700.0])
def test_a_crop_knows_the_way_back(side: float, angle: float, mirrored: bool) -> None:
    rgb = np.zeros((600, 800, 3), np.uint8)
    spot = np.array([430.0, 290.0])
    rgb[282:299, 422:439] = 255
    crop = cut(rgb, Roi(400, 300, side, angle), 128, mirrored)
    y, x = np.nonzero(crop.picture[..., 0] > 0.5)
    assert crop.to_picture(np.array([[x.mean(), y.mean()]]))[0] == pytest.approx(spot, abs=0.02 * side)
    assert crop.to_picture(np.array([[63.5, 63.5]]))[0] == pytest.approx([400, 300])


def test_a_region_points_up() -> None:
    assert roi_along(np.zeros(2), np.array([0.0, -5.0]), 1).angle == pytest.approx(0)
    assert roi_along(np.zeros(2), np.array([5.0, 0.0]), 1).angle == pytest.approx(np.pi / 2)  # head to the right


def test_landmarks_stand_in_camera_axes(walker: PoseLook) -> None:
    world = walker.world
    assert walker.flag > 0.9
    head, feet = world[INDEX["nose"]], world[[INDEX["left_heel"], INDEX["right_heel"]]].mean(axis=0)
    assert head[1] < -0.4 < 0.5 < feet[1]  # y down, hips in between
    assert np.abs(world[[INDEX["left_hip"], INDEX["right_hip"]]].mean(axis=0)).max() < 0.03
    for a, b in (("left_hip", "left_knee"), ("right_hip", "right_knee")):
        assert 0.25 < np.linalg.norm(world[INDEX[a]] - world[INDEX[b]]) < 0.55
    # She walks to the left of the picture: the nose is left of the ears; her left side is nearer to the camera.
    assert world[INDEX["nose"], 0] < world[INDEX["left_ear"], 0]
    assert world[INDEX["left_shoulder"], 2] < world[INDEX["right_shoulder"], 2]


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_rolled_camera_rolls_the_landmarks(
    frame: Frame, walker: PoseLook, pose_model: PoseModel, quarter_turns: int
) -> None:
    """np.rot90 turns counterclockwise: (x, y) -> (y, width - 1 - x)."""
    rgb = np.ascontiguousarray(np.rot90(frame.rgb, quarter_turns))
    roi, points, world = walker.used, walker.points, walker.world
    length = frame.rgb.shape[1::-1]
    for _ in range(quarter_turns):
        roi = Roi(roi.y, length[0] - 1 - roi.x, roi.side, roi.angle - np.pi / 2)
        points = np.stack([points[:, 1], length[0] - 1 - points[:, 0]], axis=1)
        world = np.stack([world[:, 1], -world[:, 0], world[:, 2]], axis=1)
        length = length[::-1]
    turned = pose_model.look(rgb, roi)
    assert np.median(np.linalg.norm(turned.points - points, axis=1)) < 0.01 * roi.side
    assert np.median(np.linalg.norm(turned.world - world, axis=1)) < 0.03


def test_a_mirrored_look_says_the_same(frame: Frame, walker: PoseLook, pose_model: PoseModel) -> None:
    mirrored = pose_model.look(frame.rgb, walker.used, mirrored=True)
    apart = np.linalg.norm(mirrored.points - walker.points, axis=1)[JOINTS]
    assert np.median(apart) < 0.1 * torso_length(walker.points, walker.roi.side)
    assert np.median(np.linalg.norm(mirrored.world - walker.world, axis=1)) < 0.1


def test_a_mirrored_picture_swaps_the_sides(frame: Frame, walker: PoseLook, pose_model: PoseModel) -> None:
    width = frame.rgb.shape[1]
    roi = walker.used._replace(x=width - 1 - walker.used.x, angle=-walker.used.angle)
    other = pose_model.look(np.ascontiguousarray(frame.rgb[:, ::-1]), roi)
    expected = np.stack([width - 1 - walker.points[MIRROR, 0], walker.points[MIRROR, 1]], axis=1)
    assert np.median(np.linalg.norm(other.points - expected, axis=1)) < 0.02 * roi.side


def test_points_go_to_the_spots_of_their_heat_maps() -> None:
    cells = 64
    rows, columns = np.mgrid[:cells, :cells]
    spots = np.array([[20.3, 30.6], [62.7, 0.2], [40.0, 40.0]])  # cells; the second is cut off, the third is cold
    near = np.exp(-0.5 * ((columns[..., None] - spots[:, 0]) ** 2 + (rows[..., None] - spots[:, 1]) ** 2) / 1.5**2)
    heat = (np.array([12.0, 12.0, 0.0]) * near - 6.0).astype(np.float32)
    points = (spots + [[1.5, -2.0], [-1.0, 1.5], [1.0, 1.0]]) * SIZE / cells
    moved = sharpened(points, heat)
    np.testing.assert_allclose(moved[0], spots[0] * SIZE / cells, atol=0.4)
    before, after = (np.linalg.norm(place[1] - spots[1] * SIZE / cells) for place in (points, moved))
    assert after < 0.6 * before
    np.testing.assert_array_equal(moved[2], points[2])
    outside = np.array([[-50.0, 10.0], [300.0, 400.0], [1e4, -1e4]])
    np.testing.assert_array_equal(sharpened(outside, heat), outside)


def test_heat_maps_place_limbs_more_surely(
    frame: Frame, walker: PoseLook, pose_model: PoseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    limbs = [INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("elbow", "knee", "ankle", "heel")]
    base = walker.used
    shifts = np.random.default_rng(0).normal(0.0, 0.02 * base.side, (12, 2))

    def spread() -> float:
        looks = [pose_model.look(frame.rgb, base._replace(x=base.x + x, y=base.y + y)).points[limbs] for x, y in shifts]
        return float(np.std(looks, axis=0).mean())

    with_maps = spread()
    monkeypatch.setattr(pose, "sharpened", _as_they_are)
    assert with_maps < 0.8 * spread()


def test_the_large_model_sees_the_same_body_more_surely(
    frame: Frame, walker: PoseLook, pose_model: PoseModel
) -> None:
    large = PoseModel(embedded.HEAVY)
    base = walker.used
    shifts = np.random.default_rng(0).normal(0.0, 0.02 * base.side, (6, 2))
    rois = [base._replace(x=base.x + x, y=base.y + y) for x, y in shifts]
    looks, larger = (np.array([model.look(frame.rgb, roi).points for roi in rois])[:, JOINTS] for model in
                     (pose_model, large))  # fmt: skip
    apart = np.linalg.norm(looks.mean(0) - larger.mean(0), axis=-1)
    assert 0.0 < np.median(apart) < 0.06 * torso_length(walker.points, walker.roi.side)
    assert np.std(larger, axis=0).mean() < np.std(looks, axis=0).mean()


def _as_they_are(points: Array, heat: Array) -> Array:
    return points


def test_several_looks_agree_on_a_person_and_not_on_a_bush(
    frame: Frame, walker: PoseLook, pose_model: PoseModel
) -> None:
    person = fused(pose_model, frame.rgb, walker)
    assert person.agreement > 0.85
    assert np.median(np.linalg.norm(person.look.points - walker.points, axis=1)) < 0.02 * walker.roi.side
    bush = pose_model.look(frame.rgb, Roi(1300, 600, 300, 0))
    assert fused(pose_model, frame.rgb, bush).agreement < 0.3


def test_a_followed_person_costs_few_looks(frame: Frame, walker: PoseLook, pose_model: PoseModel) -> None:
    assert fused(pose_model, frame.rgb, walker, expected=walker.points).cost == 1


def test_weighted_median_ignores_the_odd_one_out() -> None:
    values = np.array([1.0, 1.1, 0.9, 50.0])[:, None, None] * np.ones((1, 3, 2))
    assert np.abs(weighted_median(values, np.ones((4, 3))) - 1).max() < 0.15
    alone = np.array([1e-9, 1e-9, 1e-9, 1.0])[:, None] * np.ones((1, 3))
    assert weighted_median(values, alone) == pytest.approx(np.full((3, 2), 50.0))
    assert weighted_median(values[:1], np.ones((1, 3))) == pytest.approx(values[0])


def test_a_hand_is_the_persons_own(frame: Frame, walker: PoseLook) -> None:
    hand = HandModel().look(frame.rgb, walker, 0, None)
    assert hand is not None and hand.confidence > 0.7
    wrist = walker.points[INDEX["left_wrist"]]
    assert np.hypot(*(hand.points[0] - wrist)) < 0.5 * hand.roi.side
    assert np.allclose(hand.world[0], 0) and 0.06 < np.linalg.norm(hand.world[12]) < 0.25  # to the middle finger's tip
    # Picture and metres show the same hand: the direction from the wrist to the knuckles.
    seen, metres = hand.points[9] - hand.points[0], hand.world[9, :2]
    cosine = seen @ metres / np.linalg.norm(seen) / np.linalg.norm(metres)
    assert cosine > 0.9


def test_no_hand_where_a_hand_of_the_other_side_is(frame: Frame, walker: PoseLook) -> None:
    swapped = walker._replace(points=walker.points[MIRROR])
    hand = HandModel().look(frame.rgb, swapped, 1, None)
    assert hand is None


@pytest.mark.parametrize("this_side", [0.03, 0.3, 0.5, 0.8])
def test_a_palm_taken_for_a_back_is_turned_round(
    frame: Frame, walker: PoseLook, monkeypatch: pytest.MonkeyPatch, this_side: float
) -> None:
    model = HandModel()
    sure = model.look(frame.rgb, walker, 0, None)
    run = model._model

    def unsure(picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        screen, presence, _, world = run(picture)
        return [screen, presence, np.full((1, 1), 1 - this_side, np.float32), world]

    monkeypatch.setattr(model, "_model", unsure)
    hand = model.look(frame.rgb, walker, 0, None)
    if this_side < 0.05:
        assert hand is None
        return
    assert sure is not None and hand is not None
    np.testing.assert_allclose(hand.world, sure.world * [1, 1, 1 if this_side >= 0.5 else -1], atol=1e-6)
    np.testing.assert_allclose(hand.points, sure.points, atol=1e-3)
    assert hand.presence == pytest.approx(sure.presence)
    assert hand.confidence == pytest.approx(hand.presence * abs(2 * this_side - 1), abs=1e-6)


def test_face_points_in_ibug_order() -> None:
    """Shown nothing, the model answers with a mean face that looks at the camera: enough to tell the points apart."""
    x, y = FaceModel()._landmarks(np.full((400, 400, 3), 128, np.uint8), Roi(200, 200, 200, 0)).points.T
    chin, brows, nose = 8, slice(17, 27), 30
    right_eye, left_eye, mouth = slice(36, 42), slice(42, 48), slice(48, 68)
    assert y[brows].mean() < y[right_eye].mean() < y[nose] < y[mouth].mean() < y[chin]
    assert x[0] < x[right_eye].mean() < x[nose] < x[left_eye].mean() < x[16]  # its right is on the picture's left
    assert x[36] < x[39] < x[42] < x[45] and x[48] < x[54]
    assert (np.diff(x[:17]) > -1).all() and (np.diff(x[17:27]) > 0).all() and (np.diff(y[27:31]) > 0).all()
    assert (y[[37, 38, 43, 44]] < y[[41, 40, 47, 46]]).all()  # upper lids over lower lids
    assert y[51] < y[62] <= y[66] < y[57]  # upper lip over lower lip


def test_points_outside_the_picture_are_guesses(frame: Frame, walker: PoseLook) -> None:
    moved = walker._replace(points=walker.points + [0.0, frame.rgb.shape[0] - walker.points[INDEX["left_knee"], 1]])
    record = observe(frame, moved, (None, None), None, 0.5)
    below = record["keypoints"][:, 1] >= frame.rgb.shape[0]
    assert below.any() and record["keypoints"][below, 2].max() < 0.11
    assert record["keypoints"][keypoints.INDEX["nose"], 2] > 0.5
    assert record["keypoints"][keypoints.LEFT_HAND, 2].max() == 0 == record["hands"].max()
    assert record["keypoints"][keypoints.INDEX["left_small_toe"], 2] == 0


def test_observations_are_in_full_size_pixels_and_can_be_recalled(frame: Frame, walker: PoseLook) -> None:
    half = Frame(frame.index, frame.time, frame.rgb, 2.0)
    record = observe(half, walker, (None, None), None, 0.5)
    assert record["keypoints"][keypoints.INDEX["left_hip"], :2] == pytest.approx(
        2 * walker.points[INDEX["left_hip"]], rel=1e-5
    )
    hand = HandModel().look(frame.rgb, walker, 0, None)
    assert hand is not None
    wrist = observe(half, walker, (hand, None), None, 0.5)["keypoints"][keypoints.INDEX["left_wrist"], :2]
    assert wrist == pytest.approx(walker.points[INDEX["left_wrist"]] + hand.points[0], rel=1e-5)  # the middle, twice
    again = recall(record, 2.0)
    assert again.points[JOINTS] == pytest.approx(walker.points[JOINTS], rel=1e-5)
    assert again.roi == pytest.approx(walker.used, rel=1e-5)
