"""Captures whose end Blender did not see are found again, in this Blender or the next one."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import pytest


@pytest.fixture
def capture(bpy, addon, demo_clip, tmp_path):
    """A queued capture of two seconds."""
    addon.preferences.get().folder = str(tmp_path)
    settings = bpy.context.scene.video_mocap
    settings.video, settings.start, settings.end, settings.people = str(demo_clip), 1.0, 3.0, "LARGEST"
    capture = addon.operators.new_capture(bpy.context.scene)
    capture.request = replace(capture.request, fps=12.0)
    addon.runner.add(capture)
    yield capture
    addon.runner.stop()
    for job in found(addon):
        addon.runner.jobs().discard(job)


def found(addon, blend: str = ""):
    """What a Blender that starts now would find: without what this one remembers."""
    addon.runner.jobs()._looked = -10.0
    return addon.runner.jobs().found(blend)


def run_to_the_end(addon) -> None:
    deadline = time.monotonic() + 120
    while addon.runner.queue:
        addon.runner.tick()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run_until_poses(addon, capture) -> None:
    deadline = time.monotonic() + 60
    while not any(person.shown for person in capture.people.values()):
        addon.runner.tick()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_capture_that_was_closed_with_blender_goes_on(bpy, addon, capture, tmp_path):
    run_until_poses(addon, capture)
    assert found(addon) == []  # it runs: nothing to continue
    addon.runner.stop()  # as when Blender quits
    addon.runner._after_load()  # the file was saved in the middle, and is opened again
    (entry,) = bpy.context.scene.video_mocap.takes
    assert entry.state == "PARTIAL"
    body = entry.armature
    (job,) = found(addon)
    assert (job.name, job.begun, job.key) == ("demo", True, capture.key)
    assert bpy.ops.video_mocap.unfinished_continue(key=job.key) == {"FINISHED"}
    (entry,) = bpy.context.scene.video_mocap.takes
    assert entry.state == "DONE" and entry.armature == body
    assert addon.runner.last.request == capture.request
    assert found(addon) == [] and not list((tmp_path).glob("*.part"))
    assert [action.name for action in bpy.data.actions if "Person" in action.name] == [entry.name]


def test_discarding_deletes_what_was_tracked_and_nothing_else(bpy, addon, capture, tmp_path):
    (tmp_path / "other.npz").touch()
    run_until_poses(addon, capture)
    addon.runner.stop()
    (job,) = found(addon)
    assert list(tmp_path.glob("*.part"))
    assert bpy.ops.video_mocap.unfinished_discard(key=job.key) == {"FINISHED"}
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]
    assert found(addon) == []


def test_a_capture_that_only_waited_is_found_too(addon, capture):
    addon.runner.stop()
    (job,) = found(addon)
    assert not job.begun


def test_cancelled_captures_can_be_continued_and_finished_ones_are_struck_off(addon, capture):
    run_until_poses(addon, capture)
    addon.runner.cancel(capture.key)
    run_to_the_end(addon)
    assert [job.key for job in found(addon)] == [capture.key]


def test_capturing_again_takes_the_place_of_what_was_broken_off(bpy, addon, capture):
    run_until_poses(addon, capture)
    addon.runner.stop()
    assert [job.key for job in found(addon)] == [capture.key]
    again = addon.operators.new_capture(bpy.context.scene)
    assert again.request.output == capture.request.output  # it goes on where the other stopped
    addon.runner.add(again)
    addon.runner.stop()
    assert [job.key for job in found(addon)] == [again.key]


def test_another_files_captures_are_left_to_it(addon, capture):
    addon.runner.stop()
    job = found(addon)[0]
    jobs = addon.runner.jobs()
    jobs.remember(replace(job, blend="/films/other.blend"))
    jobs.close()
    assert found(addon, "/films/shot.blend") == []
    assert len(found(addon, "/films/other.blend")) == 1
    jobs.discard(found(addon, "/films/other.blend")[0])


def test_captures_go_along_to_the_file_that_is_saved_under_another_name(bpy, addon, capture, tmp_path):
    saved = [str(tmp_path / name) for name in ("shot_v01.blend", "shot_v02.blend")]
    for blend in saved:
        bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"))  # not its file
    addon.runner.stop()
    assert [len(found(addon, blend)) for blend in (*saved, bpy.data.filepath)] == [0, 1, 0]
    addon.runner.jobs().discard(found(addon, saved[1])[0])


def test_what_is_not_keyed_when_its_file_is_closed_is_offered_there_again(bpy, addon, capture, tmp_path, monkeypatch):
    blend = str(tmp_path / "shot.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    waiting = addon.operators.new_capture(bpy.context.scene)
    addon.runner.add(waiting)
    run_until_poses(addon, capture)
    bpy.ops.wm.open_mainfile(filepath=blend)  # as Revert does
    assert addon.runner.queue == [capture]
    assert [(job.key, job.begun, job.computed) for job in found(addon, blend)] == [(waiting.key, False, False)]
    addon.runner.jobs().discard(found(addon, blend)[0])
    run_to_the_end(addon)
    takes = bpy.context.scene.video_mocap.takes
    assert "file was closed" in capture.warnings[-1] and not takes
    (job,) = found(addon, blend)
    assert (job.key, job.begun, job.computed) == (capture.key, False, True)
    monkeypatch.setattr(addon.capture, "Job", None)  # nothing is to be computed again
    assert bpy.ops.video_mocap.unfinished_continue(key=job.key) == {"FINISHED"}
    assert [entry.state for entry in takes] == ["DONE"] and not found(addon, blend)


def test_all_can_be_cancelled_at_once(bpy, addon, capture):
    for _ in range(2):
        addon.runner.add(addon.operators.new_capture(bpy.context.scene))
    run_until_poses(addon, capture)
    assert bpy.ops.video_mocap.cancel() == {"FINISHED"}
    assert addon.runner.queue == [capture]
    run_to_the_end(addon)
    assert capture.error.code == "cancelled"


def test_continuing_says_what_went_wrong(bpy, addon, capture, tmp_path):
    addon.runner.stop()
    (job,) = found(addon)
    gone = {**job.request, "video": str(tmp_path / "gone.mp4")}
    addon.runner.jobs().remember(replace(job, request=gone))
    addon.runner.jobs().close()
    found(addon)
    with pytest.raises(RuntimeError, match="video-missing"):
        bpy.ops.video_mocap.unfinished_continue(key=job.key)


def test_waiting_for_a_capture_tells_its_warnings_and_its_error(addon):
    class Ended:
        key, warnings, error = "key", ["It is dark."], addon.capture.MocapError("no-person", "Nobody is there.")

        def run(self) -> None:
            pass

    told = []
    with pytest.raises(addon.capture.MocapError, match="Nobody"):
        addon.runner.run(Ended(), lambda kind, text: told.append((kind, text)))
    assert told == [({"WARNING"}, "It is dark.")] and addon.runner.last.key == "key"


def test_what_runs_in_another_blender_is_left_to_it(addon, capture):
    addon.runner.stop()
    assert found(addon)
    folder = addon.files.user_folder() / "jobs"
    hold = (
        f"import sys; sys.path.insert(0, {str(addon.job.ROOT)!r}); from backend.core.locking import hold; "
        f"from pathlib import Path; h = hold(Path({str(folder / (capture.key + '.lock'))!r})); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        assert found(addon) == []
        other.stdin.close()
    assert found(addon)


def test_a_damaged_note_is_passed_over(addon, capture):
    addon.runner.stop()
    (addon.files.user_folder() / "jobs" / "broken.json").write_text("{")
    assert [job.key for job in found(addon)] == [capture.key]
    (addon.files.user_folder() / "jobs" / "broken.json").unlink()
