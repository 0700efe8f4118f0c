"""Where a take is a guess: curves, markers, the next doubtful frame."""

from __future__ import annotations

import numpy as np
import pytest

RATE = 24.0


@pytest.fixture
def sure() -> np.ndarray:
    """(T, 55) confidence of ten seconds at 24 frames a second."""
    return np.full((240, 55), 0.9)


@pytest.fixture
def entry(bpy, addon, sure):
    """A take whose left arm is hidden from 2 to 3 s and whose right leg flickers; nothing but keys."""
    joints = addon.armature.skeleton.INDEX
    sure[48:72, joints["left_elbow"]] = 0.1
    sure[100, joints["right_ankle"]] = 0.0  # one frame is not worth a look
    sure[150:160, joints["right_ankle"]] = sure[163:170, joints["right_ankle"]] = 0.2
    scene = bpy.context.scene
    body = addon.armature.skeleton.neutral()
    addon.takes.ensure(scene, "capture", 1, "Person 1", addon.takes.Path("walk.mp4"), body)
    times = np.arange(240) / RATE
    turned = np.tile([1.0, 0, 0, 0], (240, 55, 1))
    motion = addon.takes.Motion(times, turned, np.zeros((240, 3)), sure)
    scene.render.fps = 24
    for _ in addon.takes.key_motion(lambda: (scene, scene.video_mocap.takes[0]), motion, {}):
        pass
    scene.video_mocap.takes[0].state = "DONE"
    return scene.video_mocap.takes[0]


def test_confidence_is_keyed_as_custom_properties(bpy, addon, entry, sure):
    scene, body = bpy.context.scene, entry.armature
    scene.frame_set(1 + 60)
    assert body["confidence"] == pytest.approx(0.1) and body["confidence left arm"] == pytest.approx(0.1)
    assert body["confidence right leg"] == pytest.approx(0.9)
    scene.frame_set(1 + 10)
    assert body["confidence"] == pytest.approx(0.9)
    paths = {curve.data_path for curve in addon.compat.curves(body.animation_data.action)}
    assert {'["confidence"]', '["confidence body"]', '["confidence right arm"]'} <= paths


def test_spans_are_joined_named_and_long_enough(bpy, addon, entry):
    spans = addon.takes.doubtful(bpy.context.scene, entry)
    assert [(round(span.start), round(span.end), span.limbs) for span in spans] == [
        (49, 72, ("left arm",)),
        (151, 170, ("right leg",)),
    ]


def test_the_next_doubtful_frame_goes_round(bpy, entry):
    scene = bpy.context.scene
    scene.frame_set(1)
    frames = []
    for _ in range(3):
        assert bpy.ops.video_mocap.doubt_next() == {"FINISHED"}
        frames.append(scene.frame_current)
    assert frames == [49, 151, 49]
    bpy.ops.video_mocap.doubt_next(back=True)
    assert scene.frame_current == 151


def test_markers_come_and_go_and_follow_the_name(bpy, addon, entry):
    scene = bpy.context.scene
    mine = scene.timeline_markers.new("mine", frame=5)
    assert bpy.ops.video_mocap.doubt_mark() == {"FINISHED"}
    names = {marker.name: marker.frame for marker in scene.timeline_markers}
    assert names == {"mine": 5, "? left arm · walk · Person 1": 49, "? right leg · walk · Person 1": 151}
    entry.name = "Hero"
    assert "? left arm · Hero" in scene.timeline_markers
    bpy.ops.video_mocap.doubt_mark()
    assert [marker.name for marker in scene.timeline_markers] == [mine.name]
    bpy.ops.video_mocap.doubt_mark()
    bpy.ops.video_mocap.take_delete()
    assert [marker.name for marker in scene.timeline_markers] == ["mine"]


def test_markers_of_takes_with_long_names_come_and_go(bpy, addon, entry):
    scene = bpy.context.scene
    entry.name = "Übung im großen Saal, dritter Versuch, Freitag · Person 1"
    assert bpy.ops.video_mocap.doubt_mark() == {"FINISHED"} and len(scene.timeline_markers)
    bpy.ops.video_mocap.doubt_mark()
    assert len(scene.timeline_markers) == 0


def test_people_of_a_clip_with_a_long_name_have_markers_of_their_own(addon):
    clip = "Прогулка по набережной вечером"
    names = [addon.doubt.marker_name(f"{clip} · Person {n}", "left arm") for n in (1, 2, 12)]
    assert len(set(names)) == 3 and max(len(name.encode()) for name in names) <= addon.doubt.LONGEST
    assert names[0].startswith("? left arm · Прог") and names[0].endswith(" · Person 1")


def test_a_name_that_something_else_has_leaves_no_markers_behind(bpy, addon, entry):
    bpy.data.objects.new("Hero", None)
    bpy.ops.video_mocap.doubt_mark()
    entry.name = "Hero"
    assert entry.name == entry.armature.name == entry.armature.animation_data.action.name == "Hero.001"
    assert "? left arm · Hero.001" in bpy.context.scene.timeline_markers
    bpy.ops.video_mocap.doubt_mark()
    assert len(bpy.context.scene.timeline_markers) == 0


def test_edited_curves_count(bpy, addon, entry):
    for curve in addon.compat.curves(entry.armature.animation_data.action):
        if curve.data_path == '["confidence left arm"]':
            for point in curve.keyframe_points:
                point.co[1] = 1.0
    assert [span.limbs for span in addon.takes.doubtful(bpy.context.scene, entry)] == [("right leg",)]


def test_a_sure_take_has_nothing_to_look_at(bpy, addon):
    frames = np.arange(50.0)
    assert addon.doubt.spans(frames, {"body": np.ones(50)}, RATE) == []
    assert addon.doubt.next_span([], 1.0) is None
