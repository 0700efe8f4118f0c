"""Captures that do not go well: what is said, what is kept, and that nothing is left running."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BACKEND_PYTHON = os.environ["VIDEO_MOCAP_PYTHON"]


@pytest.fixture
def settings(bpy, demo_clip):
    """A capture of two seconds, ready to start."""
    settings = bpy.context.scene.video_mocap
    settings.video, settings.start, settings.end, settings.people = str(demo_clip), 1.0, 3.0, "LARGEST"
    return settings


@pytest.fixture
def preferences(bpy, addon, tmp_path):
    preferences = addon.preferences.get()
    preferences.folder = str(tmp_path)
    return preferences


@pytest.fixture
def start(bpy, addon, settings, preferences):
    """Makes a capture as the button does, but looks at fewer frames."""

    def new():
        capture = addon.operators.new_capture(bpy.context.scene)
        capture.request = replace(capture.request, fps=12.0)
        return capture

    return new


def scripted(folder: Path, mode: str) -> str:
    """A Python whose backend is the scripted one."""
    python = folder / "python"
    script = ROOT / "tests" / "addon" / "scripted_backend.py"
    python.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then exec "{BACKEND_PYTHON}" "$@"; fi\n'
        f'exec "{BACKEND_PYTHON}" "{script}" {mode}\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return str(python)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_until(capture, reached) -> list:
    """Step the capture until `reached()`; -> its remaining steps."""
    steps = capture.steps()
    deadline = time.monotonic() + 60
    while not reached():
        assert next(steps, "ended") is None, capture.error
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return steps


def keyed(entry, addon) -> int:
    """How many frames of a take have keys."""
    return len(addon.compat.curves(entry.armature.animation_data.action)[0].keyframe_points)


def has_poses(capture):
    return lambda: any(person.shown for person in capture.people.values())


def test_killed_backend_keeps_its_keys_and_a_rerun_completes(bpy, addon, start, settings):
    capture = start()
    steps = run_until(capture, has_poses(capture))
    entry = settings.takes[0]
    assert entry.state == "LIVE"
    assert max(abs(bone.rotation_quaternion[1]) for bone in entry.armature.pose.bones) > 0.01  # it moves already
    os.kill(capture.pid, signal.SIGKILL)
    for _ in steps:
        time.sleep(0.01)
    assert capture.error.code == "backend-died"
    received = len(next(iter(capture.people.values())).motion()[0])
    entry = settings.takes[0]
    assert entry.state == "PARTIAL" and "ended by signal 9" in entry.note
    assert keyed(entry, addon) == received > 0
    assert not capture.request.output.exists()

    again = start()
    assert again.request.output == capture.request.output
    again.run()
    assert again.error is None and again.request.output.exists()
    assert [entry.state for entry in settings.takes] == ["PARTIAL", "DONE"]


def test_cancel_keeps_keys_and_ends_the_backend(addon, start, settings):
    capture = start()
    steps = run_until(capture, has_poses(capture))
    capture.cancel()
    for _ in steps:
        time.sleep(0.01)
    assert capture.error.code == "cancelled"
    assert not alive(capture.pid)
    assert [entry.state for entry in settings.takes] == ["PARTIAL"]
    assert keyed(settings.takes[0], addon) > 0


@pytest.mark.parametrize(
    "mode, code, frames",
    [("silent", "backend-silent", 30), ("garbage", "protocol-mismatch", 30), ("old", "protocol-mismatch", 0)],
)
def test_misbehaving_backend_is_ended(addon, start, settings, preferences, tmp_path, monkeypatch, mode, code, frames):
    monkeypatch.setattr(addon.job, "SILENCE", 6.0)
    preferences.python = scripted(tmp_path, mode)
    capture = start()
    capture.run()
    assert capture.error.code == code
    assert not alive(capture.pid)
    assert [keyed(entry, addon) for entry in settings.takes] == ([frames] if frames else [])


def test_backend_that_ignores_cancel_is_killed(start, settings, preferences, tmp_path):
    preferences.python = scripted(tmp_path, "deaf")
    capture = start()
    steps = run_until(capture, has_poses(capture))
    capture.cancel()
    for _ in steps:
        time.sleep(0.01)
    assert capture.error.code == "cancelled" and not alive(capture.pid)


def test_who_was_not_asked_for_leaves_the_scene_and_gets_no_keys(bpy, start, settings, preferences, tmp_path):
    preferences.python = scripted(tmp_path, "pair")
    capture = start()
    steps = run_until(capture, lambda: len(settings.takes) == 2)
    gone = settings.takes[1].armature.name
    capture._take_in({"type": "leave", "track": 2})
    next(steps)
    assert [entry.track for entry in settings.takes] == [1] and gone not in bpy.data.objects
    capture.cancel()
    for _ in steps:
        time.sleep(0.01)
    assert [(entry.track, entry.state) for entry in settings.takes] == [(1, "PARTIAL")]


def test_closing_the_eye_of_somebody_who_is_captured_harms_nothing(start, settings, preferences, tmp_path):
    preferences.python = scripted(tmp_path, "silent")
    capture = start()
    steps = run_until(capture, has_poses(capture))
    settings.takes[0].visible = False
    offsets = 1.1 * next(iter(capture.people.values())).body.offsets  # bone lengths that are known better by now
    capture._take_in({"type": "track", "track": 1, "name": "Person 1", "rest_offsets": offsets})
    capture.cancel()
    for _ in steps:
        time.sleep(0.01)
    (entry,) = settings.takes
    assert (capture.error.code, entry.state, entry.visible) == ("cancelled", "PARTIAL", False)
    assert entry.worn.hide_viewport


def test_a_scene_that_was_copied_meanwhile_keeps_nothing_half_made(bpy, start, settings, preferences, tmp_path):
    preferences.python = scripted(tmp_path, "silent")
    capture = start()
    steps = run_until(capture, has_poses(capture))
    bpy.ops.scene.new(type="FULL_COPY")
    first, second = sorted(bpy.data.scenes, key=lambda scene: scene.session_uid)
    assert [entry.state for entry in second.video_mocap.takes] == ["LIVE"]
    capture.cancel()
    for _ in steps:
        time.sleep(0.01)
    assert [entry.state for entry in first.video_mocap.takes] == ["PARTIAL"]
    assert len(second.video_mocap.takes) == 0 and len(bpy.data.armatures) == 1


def test_input_without_people_leaves_nothing_behind(bpy, start, settings, tmp_path):
    noise = tmp_path / "no video.mp4"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    settings.video = str(noise)
    with pytest.raises(RuntimeError, match="video-unreadable"):
        bpy.ops.video_mocap.capture()
    assert not bpy.data.objects and not settings.takes
    assert [path.name for path in tmp_path.iterdir()] == ["no video.mp4"]


def test_another_file_opened_during_a_capture_is_left_alone(bpy, addon, start, tmp_path):
    capture = start()
    steps = run_until(capture, has_poses(capture))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    for _ in steps:
        time.sleep(0.01)
    assert capture.error is None
    assert not bpy.data.objects and not bpy.context.scene.video_mocap.takes
    assert capture.request.output.exists()
    assert str(capture.request.output) in capture.warnings[-1]


def test_armature_that_was_undone_comes_back(bpy, addon, start, settings):
    """Undo in the window takes away what the capture made so far; see tests/window for the real thing."""
    capture = start()
    steps = run_until(capture, has_poses(capture))
    settings.takes.clear()
    bpy.data.batch_remove([*bpy.data.objects, *bpy.data.collections])
    for _ in steps:
        time.sleep(0.01)
    assert [entry.state for entry in settings.takes] == ["DONE"]
    assert settings.takes[0].armature.name in bpy.context.scene.objects


def test_captures_wait_for_each_other(addon, start, settings, preferences, tmp_path):
    preferences.python = scripted(tmp_path, "deaf")
    first, second, third = captures = [start() for _ in range(3)]
    assert len({capture.request.output for capture in captures}) == 1  # nothing is reserved before it is queued
    for capture in captures:
        addon.runner.add(capture)
    assert start().request.output not in {capture.request.output for capture in captures}
    addon.runner.tick()
    assert [capture.state for capture in addon.runner.queue] == ["RUNNING", "QUEUED", "QUEUED"]
    addon.runner.cancel(second.key)
    assert addon.runner.queue == [first, third]
    addon.runner.cancel(first.key)
    while third.state == "QUEUED":
        assert addon.runner.tick() is not None
        time.sleep(0.01)
    assert addon.runner.queue == [third] and first.state == "ENDED" and not alive(first.pid)
    pid = third.pid
    addon.runner.stop()
    assert not alive(pid) and not addon.runner.queue


def test_python_that_is_missing_or_broken_is_named_before_anything_starts(bpy, settings, preferences, tmp_path):
    preferences.python = str(tmp_path / "nowhere")
    with pytest.raises(RuntimeError, match=r"nowhere.*\[python-missing\]|poll"):
        bpy.ops.video_mocap.capture()
    for text, wanted in (("#!/bin/sh\nexit 1\n", "does not run"), ("#!/bin/sh\necho '[[3, 8], []]'\n", "Python 3.8")):
        broken = tmp_path / "broken"
        broken.write_text(text)
        broken.chmod(0o755)
        preferences.python = str(broken)
        with pytest.raises(RuntimeError, match=rf"{wanted}.*\[python-broken\]"):
            bpy.ops.video_mocap.capture()
    assert not settings.takes and not bpy.data.objects


def test_environment_variable_names_the_backend(addon, monkeypatch, tmp_path):
    find = addon.environment.find
    assert find("", tmp_path) == Path(BACKEND_PYTHON)
    monkeypatch.delenv(addon.environment.VARIABLE)
    with pytest.raises(Exception, match="python-missing"):
        find("", tmp_path)
    managed = addon.environment.managed_python(tmp_path)
    managed.parent.mkdir(parents=True)
    managed.symlink_to(BACKEND_PYTHON) if sys.prefix == sys.base_prefix else managed.write_text(
        f'#!/bin/sh\nexec "{BACKEND_PYTHON}" "$@"\n'
    )
    managed.chmod(0o755)
    assert find("", tmp_path) == managed


def test_the_button_says_why_it_is_grey(bpy, settings, addon):
    poll = bpy.ops.video_mocap.capture.poll
    assert poll()
    settings.video = ""
    assert not poll()
    settings.video = "//nowhere.mp4"
    assert not poll()


def test_check_lists_what_the_backend_has(bpy, addon):
    assert bpy.ops.video_mocap.check() == {"FINISHED"}
    checkup = addon.doctor.latest
    deadline = time.monotonic() + 60
    while checkup.running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(finding.fine for finding in checkup.findings), checkup.findings
    assert any("Self-test" in finding.text for finding in checkup.findings)
    assert addon.environment.engines["body"]


def test_naming_another_python_is_noticed_at_once(bpy, addon, preferences, tmp_path):
    def wrong() -> bool:
        return not all(finding.fine for finding in addon.doctor.findings())

    preferences.python = str(tmp_path / "nowhere")
    assert wrong()
    preferences.python = BACKEND_PYTHON
    assert not wrong()
    assert bpy.ops.video_mocap.check() == {"FINISHED"}
    checkup = addon.doctor.latest
    preferences.python = str(tmp_path / "nowhere")
    assert addon.doctor.latest is None and wrong()
    deadline = time.monotonic() + 60
    while checkup.running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
