"""What cleaning leaves undone: whatever waits for a slider to rest, and reading and writing what is known."""

from __future__ import annotations

import pytest
import test_cleaning as base
from test_cleaning import curve_of, feet, shown

walking, take_file, scene, entry, people = base.walking, base.take_file, base.scene, base.entry, base.people
settings, ops = base.settings, base.ops


@pytest.fixture
def resting(addon, monkeypatch):
    """As if a slider was still being dragged: nobody computes until somebody needs the result."""
    monkeypatch.setattr(addon.cleaning.later, "_soon", lambda: None)


@pytest.mark.parametrize("need", ["apply", "raw and cleaned", "character", "save"])
def test_whoever_needs_what_waits_gets_the_newest_setting(
    bpy, addon, scene, entry, settings, ops, resting, tmp_path, need
):
    settings.lift = 0.1
    settings.lift = 0.5
    assert settings.waits and settings.cleaned is None
    if need == "apply":
        assert ops.clean_apply() == {"FINISHED"}
    elif need == "raw and cleaned":
        settings.trunk = 0.5  # so that there is something to choose from
        addon.cleaning.stage.begin(scene, entry)
        settings.show = "RAW"
        assert settings.show == "RAW" and entry.armature.animation_data.action == settings.raw
        settings.show = "CLEANED"
    elif need == "character":
        assert feet(addon, addon.retarget.operators.chosen_motion(bpy.context)[1])[..., 2].min() > 0.4
    else:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "waits.blend"))
    assert not settings.waits
    assert feet(addon, shown(addon, scene, entry))[..., 2].min() == pytest.approx(0.5, abs=0.01)


def test_what_waits_goes_with_its_take(bpy, scene, entry, settings, ops, resting):
    settings.lift = 0.5
    assert ops.clean_raw() == {"FINISHED"} and not settings.waits and settings.lift == 0.0
    settings.lift = 0.5
    assert ops.take_delete() == {"FINISHED"} and not bpy.data.actions
    bpy.ops.wm.save_mainfile(filepath=bpy.app.tempdir + "gone.blend")


def test_every_curve_is_read_once_and_only_what_changes_is_written(addon, settings, monkeypatch):
    settings.left_hand = 0.5
    curves = addon.compat.curves
    count = len(curves(settings.base)) + len(curves(settings.cleaned))
    of, rewrite, read, written = addon.keys.of, addon.keys.rewrite, [], []

    def counted(curve):
        read.append(curve)
        return of(curve)

    def noted(curve, frames, values, before=None):
        now = rewrite(curve, frames, values, before)
        written.extend([] if now is before else [curve.data_path])
        return now

    monkeypatch.setattr(addon.keys, "of", counted)
    monkeypatch.setattr(addon.keys, "rewrite", noted)
    settings.left_hand = 0.8
    assert len(read) == count and not settings.edited
    assert written and all("left_" in path for path in written)
    monkeypatch.undo()
    settings.left_hand = 0.9
    assert not settings.edited  # the checksum is that of what is there


def test_the_others_of_a_clip_are_left_alone_until_the_world_moves(people):
    entry, other = people
    entry.cleaning.trunk = 0.5
    assert other.cleaning.raw is None
    entry.cleaning.lift = 0.1
    assert other.cleaning.raw and other.cleaning.lift == pytest.approx(0.1)


def test_matching_a_scene_that_matches_moves_no_keys(addon, scene, entry, ops, monkeypatch):
    monkeypatch.setattr(addon.keys, "retime", lambda *_: pytest.fail("keys were moved"))
    assert ops.match_scene() == {"FINISHED"}


def test_retiming_moves_the_handles_of_curves_that_have_them(addon, entry):
    action = entry.armature.animation_data.action
    bent = curve_of(addon, action, "head", 1).keyframe_points[10]
    bent.interpolation, bent.handle_left_type, bent.handle_right_type = "BEZIER", "FREE", "FREE"
    bent.handle_right = (bent.co[0] + 0.5, bent.co[1] + 0.1)
    frame = bent.co[0]
    addon.keys.retime(action, 2.0)
    bent = curve_of(addon, action, "head", 1).keyframe_points[10]
    assert bent.co[0] == pytest.approx(2 * frame - 1) and bent.handle_right[0] - bent.co[0] == pytest.approx(1.0)
    assert not addon.keys.changed_by_hand(action)
