"""The published models in the preferences: the real backend lists, adds and forgets them."""

from __future__ import annotations

import time
from importlib import import_module

import numpy as np
import pytest


@pytest.fixture
def models(addon, tmp_path, monkeypatch):
    for variable in ("XDG_DATA_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    return import_module(f"{addon.__name__}.models")


def done(models):
    """Wait for the errand as Blender's timers would. -> what is known then"""
    end = time.monotonic() + 120
    while models.tick() is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    return models.last


def test_models_are_listed_added_hidden_and_forgotten(bpy, models, tmp_path):
    own = tmp_path / "smpl_ssm.npy"
    np.save(own, np.arange(67))
    assert bpy.ops.video_mocap.models() == {"FINISHED"}
    assert done(models).known["models"]["hmr2"]["added"] is None
    bpy.ops.video_mocap.model_add(name="whmr-markers", filepath=str(own))
    assert done(models).known["models"]["whmr-markers"]["added"]["file"] == str(own) and not models.last.error
    bpy.ops.video_mocap.models_commercial(wanted=True)
    known = done(models).known
    assert known["commercial_only"] and set(known["models"]) == {"vitpose", "rtmpose"}
    bpy.ops.video_mocap.models_commercial(wanted=False)
    done(models)
    bpy.ops.video_mocap.model_remove(name="whmr-markers")
    assert done(models).known["models"]["whmr-markers"]["added"] is None and own.is_file()


def test_the_engine_fields_know_at_once_what_can_run(bpy, addon, models, monkeypatch):
    monkeypatch.setattr(addon.environment, "engines", {})
    bpy.ops.video_mocap.models()
    done(models)
    assert "analytic" in addon.environment.engines["body"] and addon.environment.engines["root"] == ["planted"]


def test_a_file_that_is_gone_or_has_changed_is_told(bpy, models, tmp_path):
    own = tmp_path / "smpl_ssm.npy"
    np.save(own, np.arange(67))
    bpy.ops.video_mocap.model_add(name="whmr-markers", filepath=str(own))
    assert models._doubt(done(models).known["models"]["whmr-markers"]["added"]) == ""
    for change, words in ((lambda: np.save(own, np.arange(68)), "add it again"), (own.unlink, "No longer at")):
        change()
        bpy.ops.video_mocap.models()
        assert words in models._doubt(done(models).known["models"]["whmr-markers"]["added"])


def test_what_went_wrong_is_told(bpy, models, tmp_path):
    np.save(tmp_path / "other.npy", np.arange(9))
    bpy.ops.video_mocap.model_add(name="whmr-markers", filepath=str(tmp_path / "other.npy"))
    assert "67" in done(models).error and models.last.known["models"]


def test_long_errands_tell_how_far_they_are_and_can_be_cancelled(bpy, models, tmp_path):
    np.save(tmp_path / "large.npy", np.arange(67))
    with (tmp_path / "large.npy").open("ab") as file:
        file.truncate(20_000_000_000)  # takes up no room
    bpy.ops.video_mocap.model_add(name="whmr-markers", filepath=str(tmp_path / "large.npy"))
    end = time.monotonic() + 60
    while "MB" not in models.running.said:
        assert models.tick() is not None and time.monotonic() < end
        time.sleep(0.05)
    assert bpy.ops.video_mocap.models_cancel() == {"FINISHED"}
    begun = time.monotonic()
    assert done(models).error == "" and models.last.known["models"]["whmr-markers"]["added"] is None
    assert time.monotonic() - begun < 30


def test_nothing_is_downloaded_without_a_yes(bpy, models, monkeypatch):
    begun = []
    monkeypatch.setattr(models, "start", lambda *calls: begun.append(calls))
    system = bpy.context.preferences.system
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="network"):
        bpy.ops.video_mocap.model_download(name="rtmpose", agreed=True)
    system.use_online_access = True
    try:
        assert bpy.ops.video_mocap.model_download(name="rtmpose") == {"CANCELLED"} and not begun
        assert bpy.ops.video_mocap.model_download(name="rtmpose", agreed=True) == {"FINISHED"}
    finally:
        system.use_online_access = False
    assert begun == [(("add", "rtmpose", "--download", "--yes"),)]


def test_disabling_the_extension_ends_an_errand(bpy, models):
    bpy.ops.video_mocap.models()
    models.stop()
    assert models.running is None
    bpy.ops.video_mocap.models()
    assert done(models).known["models"]
