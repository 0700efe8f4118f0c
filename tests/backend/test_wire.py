"""The wire: its golden transcript, and `serve` as a parent process sees it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from clips import ROOT, person_pictures, start_serve, write_video

from backend.core.errors import CODES
from backend.core.protocol import FINAL, PROTOCOL, REPLIES, REQUESTS, Message, decode, encode

GOLDEN = ROOT / "tests" / "golden" / "wire.jsonl"


def transcript() -> str:
    """One message of every kind, in the order of a capture. Change it only together with PROTOCOL."""
    frames, joints = 2, 55
    angles = np.arange(frames * joints, dtype=np.float32).reshape(frames, joints) / 128
    rotations = np.zeros((frames, joints, 4), np.float32)
    rotations[..., 0], rotations[..., 1] = 1 - angles**2 / 2, angles  # no library function: the same bits everywhere
    messages: list[Message] = [
        {"type": "capture", "video": "/films/Zoë läuft.mp4", "output": "/takes/zoë.npz", "start": 1.5, "end": None,
         "people": "all", "fps": None, "device": "cpu", "engines": {"body": "analytic"}, "focal": None, "tilt": None,
         "plumb": []},
        {"type": "resolve", "observations": "/takes/zoë.keypoints", "take": "/takes/zoë.npz",
         "output": "/takes/zoë-2.npz", "people": None, "engines": {"body": "analytic"}, "focal": 26.0, "tilt": -4.5,
         "plumb": [[0.5, 640.0, 20.0, 652.5, 700.0]]},
        {"type": "scan", "video": "/films/Zoë läuft.mp4", "folder": "/pictures", "start": None, "end": 4.5},
        {"type": "hello", "protocol": PROTOCOL, "version": "1.2.3",
         "capabilities": {"engines": {"track": ["blazepose"], "body": ["analytic"]}, "devices": ["cpu"]}},
        {"type": "stage", "name": "track", "done": 2, "total": 90},
        {"type": "track", "track": 1, "name": "Person 1",
         "rest_offsets": np.arange(joints * 3, dtype=np.float32).reshape(joints, 3) / 64},
        {"type": "leave", "track": 1},
        {"type": "frames", "track": 1, "index": np.array([45, 46], np.int32), "times": np.array([1.5, 1.53125]),
         "rotations": rotations, "translations": np.array([[0, 0.25, 1], [0.5, 0.25, 1]], np.float32),
         "contacts": np.array([[1, 1, 0, 0], [1, 0, 0, 1]], np.uint8),
         "confidence": np.full((frames, joints), 0.75, np.float32)},
        {"type": "warning", "code": "video-corrupt", "what": "The picture is damaged from 2.00 s to 2.50 s."},
        {"type": "people", "time": 1.5, "index": 45, "boxes": np.array([[8, 16, 64, 128]], np.float32),
         "size": [640, 360], "picture": "/pictures/scan-0.jpg", "faces": ["/pictures/scan-0-1.jpg"]},
        {"type": "heartbeat", "seconds": 1.0},
        {"type": "cancel"},
        {"type": "done", "takes": ["/takes/zoë.npz"], "seconds": 12.5},
        {"type": "error", "code": "no-person", "what": "No person was found in the video.", "fix": "Film one."},
    ]  # fmt: skip
    return "".join(encode(message, REQUESTS if message["type"] in REQUESTS else REPLIES) for message in messages)


def test_the_golden_transcript_is_what_we_send():
    assert GOLDEN.read_bytes().decode("utf-8") == transcript()


def test_the_golden_transcript_is_what_we_understand():
    lines = GOLDEN.read_text("utf-8").splitlines(keepends=True)
    messages = [decode(line, REQUESTS) or decode(line, REPLIES) for line in lines]
    assert {message["type"] for message in messages} == {*REQUESTS, *REPLIES}
    frames = next(message for message in messages if message["type"] == "frames")
    assert frames["rotations"].shape == (2, 55, 4) and frames["rotations"].dtype == np.float32
    assert frames["index"].tolist() == [45, 46] and frames["times"].tolist() == [1.5, 1.53125]
    assert messages[0]["video"] == "/films/Zoë läuft.mp4"


@pytest.fixture
def child():
    process = start_serve()
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def request(video: Path, output: Path, **settings: object) -> Message:
    return {
        "type": "capture", "video": str(video), "output": str(output), "start": None, "end": None,
        "people": "largest", "fps": None, "device": "cpu", "engines": {}, "focal": None, "tilt": None, "plumb": [],
        **settings,
    }  # fmt: skip


def send(child, message: Message) -> None:
    child.stdin.write(encode(message, REQUESTS).encode())
    child.stdin.flush()


def replies(child):
    for line in child.stdout:
        message = decode(line.decode(), REPLIES)  # raises when anything else gets onto the wire
        assert message is not None
        yield message


def test_a_capture_over_the_wire(child, tmp_path, demo_clip):
    video = write_video(tmp_path / "mañana 1.mp4", person_pictures(demo_clip, 16))
    send(child, request(video, tmp_path / "out put" / "täke.npz"))
    messages = list(replies(child))
    kinds = [message["type"] for message in messages]
    assert kinds[0] == "hello" and messages[0]["protocol"] == PROTOCOL
    assert kinds[-1] == "done" and not set(kinds[:-1]) & set(FINAL)
    assert child.wait(10) == 0
    assert messages[-1]["takes"] == [str(tmp_path / "out put" / "täke.npz")]
    assert Path(messages[-1]["takes"][0]).is_file()
    assert kinds.index("track") < kinds.index("frames")
    stages = [message for message in messages if message["type"] == "stage"]
    assert next(s["name"] for s in stages if s["name"] != "prepare") == "track"
    assert all(s["done"] <= s["total"] for s in stages)
    shown = np.concatenate([message["index"] for message in messages if message["type"] == "frames"])
    assert sorted(shown) == list(range(16))  # every frame live, none twice


def test_live_frames_come_while_the_tracker_is_still_running(child, tmp_path, demo_clip):
    video = write_video(tmp_path / "clip.mp4", person_pictures(demo_clip, 30))
    send(child, request(video, tmp_path / "take.npz"))
    done = 0
    for message in replies(child):
        if message["type"] == "stage" and message["name"] == "track":
            done = message["done"]
        if message["type"] == "frames":
            break
    assert 0 < done <= 10  # the lookahead is half a second: 5 frames at 10 fps
    assert message["rotations"].shape == (len(message["index"]), 55, 4)
    np.testing.assert_allclose(np.linalg.norm(message["rotations"], axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize("how", ["line", "end of input", "signal"])
def test_cancel_stops_within_a_second(child, tmp_path, demo_clip, how):
    send(child, request(demo_clip, tmp_path / "take.npz", people="all"))
    wire = replies(child)
    while True:
        message = next(wire)
        if message["type"] == "stage" and message["name"] == "track" and message["done"] > 2:
            break
    if how == "line":
        send(child, {"type": "cancel"})
    elif how == "signal":
        os.kill(child.pid, signal.SIGTERM)
    else:
        child.stdin.close()
        child.stdin = None
    asked = time.monotonic()
    last = list(wire)[-1]
    assert last["type"] == "error" and last["code"] == "cancelled"
    assert child.wait(10) == CODES["cancelled"][0]
    assert time.monotonic() - asked < 5  # the promise is one second; a busy test machine gets some more
    assert not (tmp_path / "take.npz").exists()
    assert (tmp_path / "take.npz.part" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense\n", "protocol-mismatch"),
        (b'{"type":"cancel"}\n', "protocol-mismatch"),
        (b'{"type":"capture","video":"a.mp4"}\n', "protocol-mismatch"),
        ({"fps": "fast"}, "bad-request"),
        ({"engines": ["x"]}, "bad-request"),
        ({"device": "quantum"}, "bad-request"),
        ({"people": "everyone"}, "bad-request"),
        ({"engines": {"body": "magic"}}, "engine-unavailable"),
        ({}, "video-missing"),
        (b"", "cancelled"),
    ],
)
def test_requests_that_cannot_be_served(child, line, code):
    if isinstance(line, dict):
        line = encode(request(Path("missing.mp4"), Path("t.npz"), **line), REQUESTS).encode()
    child.stdin.write(line)
    child.stdin.flush()
    if not line:
        child.stdin.close()
        child.stdin = None
    messages = list(replies(child))
    assert messages[0]["type"] == "hello"
    assert messages[-1]["type"] == "error" and messages[-1]["code"] == code
    assert messages[-1]["what"] and messages[-1]["fix"]
    assert child.wait(10) == CODES[code][0]


def test_a_heartbeat_comes_whatever_happens(child):
    """Also while the capture is busy before its first stage is over: a fifo that nobody writes blocks it."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no fifo on this system")
    fifo = ROOT / ".cache" / f"fifo-{os.getpid()}"
    fifo.parent.mkdir(exist_ok=True)
    os.mkfifo(fifo)
    try:
        send(child, request(fifo, Path("t.npz")))
        beats = (message for message in replies(child) if message["type"] == "heartbeat")
        assert next(beats)["seconds"] < next(beats)["seconds"]
        send(child, {"type": "cancel"})  # and a call that never returns is aborted
        assert child.wait(5) == CODES["cancelled"][0]
    finally:
        fifo.unlink()
