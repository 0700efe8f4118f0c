"""The add-on's side of the golden transcript: what it sends, and what it makes of what it receives."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "wire.jsonl"
LINES = GOLDEN.read_text("utf-8").splitlines(keepends=True)

# Keeps what it is sent, then says the golden lines up to the one that ends the job.
CHILD = """
import sys
from pathlib import Path
Path({request!r}).write_text(sys.stdin.readline(), "utf-8")
sys.stdout.buffer.write(Path({reply!r}).read_bytes())
sys.stdout.flush()
"""


@pytest.fixture
def replayed(bpy, addon, tmp_path):
    """A capture of the golden transcript's video with a child that replays its lines. -> capture, request sent"""
    sent, reply, script = tmp_path / "sent.jsonl", tmp_path / "reply.jsonl", tmp_path / "child.py"
    from_child = [
        line for line in LINES if json.loads(line)["type"] not in ("capture", "resolve", "scan", "cancel", "done")
    ]
    reply.write_text("".join(from_child), "utf-8")
    script.write_text(CHILD.format(request=str(sent), reply=str(reply)), "utf-8")
    python = tmp_path / "python"
    interpreter = os.environ["VIDEO_MOCAP_PYTHON"]
    python.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then exec "{interpreter}" "$@"; fi\nexec "{interpreter}" "{script}"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    addon.preferences.get().folder = str(tmp_path)
    request = addon.capture.Request(
        video=Path("/films/Zoë läuft.mp4"), output=Path("/takes/zoë.npz"), start=1.5, engines={"body": "analytic"}
    )
    capture = addon.capture.Capture(python, request, bpy.context.scene)
    capture.run()
    return capture, sent.read_text("utf-8")


def test_the_request_is_the_golden_one(replayed):
    _, sent = replayed
    assert sent == LINES[0]


def test_the_golden_replies_become_keys_and_an_error(bpy, addon, replayed):
    capture, _ = replayed
    assert (capture.error.code, capture.error.fix) == ("no-person", "Film one.")
    assert capture.warnings[0] == "The picture is damaged from 2.00 s to 2.50 s."
    assert (capture.stage, capture.done, capture.total) == ("track", 2, 90)
    (entry,) = bpy.context.scene.video_mocap.takes
    assert (entry.name, entry.state) == ("Zoë läuft · Person 1", "PARTIAL")

    curves = addon.compat.curves(entry.armature.animation_data.action)
    rate = bpy.context.scene.render.fps / bpy.context.scene.render.fps_base
    times = [point.co[0] for point in curves[0].keyframe_points]
    np.testing.assert_allclose(times, 1 + np.array([1.5, 1.53125]) * rate, atol=1e-4)
    # The golden quaternions are (1, k / 128, 0, 0): the knee turns about the body's x axis, its bending axis.
    bpy.context.scene.frame_set(1 + int(1.5 * rate))
    turn = entry.armature.pose.bones["left_knee"].rotation_quaternion.to_axis_angle()[1]
    assert turn == pytest.approx(2 * 4 / 128, abs=1e-3)
