"""The wire: how the add-on and its capture subprocess talk.

One job, one child process (`python -m backend serve`). Both directions carry one JSON object a line, UTF-8.
Logs go to stderr, never to stdout.

To the child:
    capture    video, output, start, end, people, fps, device, engines, focal, tilt, plumb    the job; must come first
    resolve    observations, take, output, people, engines, focal, tilt, plumb    or: solve a capture again
    scan       video, folder, start, end                                   or: look at some pictures of a clip
    cancel                                                                 stop now, keep what there is

From the child, in this order:
    hello      protocol, version, capabilities                             at once
    stage      name, done, total                                           0 <= done <= total; total 0 while unknown
    track      track, name, rest_offsets                                   a person appears, or bone lengths changed
    frames     track, index, times, rotations, translations, contacts, confidence    a block of poses
    leave      track                                                       who was shown is not among those asked for
    warning    code, what                                                  something to know; the job goes on
    people     time, index, boxes, size, picture, faces                    who is in one picture of a scan
    heartbeat  seconds                                                     once a second, whatever happens
    done       takes, seconds                                              last line of a job that went well
    error      code, what, fix                                             last line of a job that did not

`frames` carries arrays: rotations (n, 55, 4) parent-relative quaternions (w, x, y, z), root in the world (z up);
translations (n, 3) metres, the pelvis joint in the world; contacts (n, 4) 0 or 1 in `skeleton.CONTACTS` order;
confidence (n, 55) in 0..1; times (n,) seconds in the clip; index (n,) numbers of the video's frames. A frame may
be sent again: the later one counts. Whoever left may come back, with `frames`.

`people` carries boxes (n, 4): left, top, right, bottom in pixels of the upright picture, which is `size` (width,
height) large; and files: the picture, made smaller, and one picture of each person.

Arrays travel as {"dtype", "shape", "data"}: little-endian bytes in base64, so that a block costs the receiver a
millisecond. Fields that a version does not know are ignored; a changed meaning raises PROTOCOL.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import MocapError

PROTOCOL = 3

Message = dict[str, Any]

REQUESTS: dict[str, tuple[str, ...]] = {
    "capture": ("video", "output", "start", "end", "people", "fps", "device", "engines", "focal", "tilt", "plumb"),
    "resolve": ("observations", "take", "output", "people", "engines", "focal", "tilt", "plumb"),
    "scan": ("video", "folder", "start", "end"),
    "cancel": (),
}
REPLIES: dict[str, tuple[str, ...]] = {
    "hello": ("protocol", "version", "capabilities"),
    "stage": ("name", "done", "total"),
    "track": ("track", "name", "rest_offsets"),
    "frames": ("track", "index", "times", "rotations", "translations", "contacts", "confidence"),
    "leave": ("track",),
    "warning": ("code", "what"),
    "people": ("time", "index", "boxes", "size", "picture", "faces"),
    "heartbeat": ("seconds",),
    "done": ("takes", "seconds"),
    "error": ("code", "what", "fix"),
}
FINAL = ("done", "error")

_DTYPES = ("<f4", "<f8", "<i4", "|u1")


def pack(array: NDArray[Any]) -> Message:
    """An array as JSON: float32, float64, int32 or uint8, any shape."""
    array = np.asarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if little.dtype.str not in _DTYPES:
        raise TypeError(f"arrays of {array.dtype} do not travel")
    return {
        "dtype": little.dtype.str,
        "shape": list(array.shape),
        "data": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def unpack(packed: Mapping[str, Any]) -> NDArray[Any]:
    """The array of a `pack`ed object; ValueError when it is not one."""
    if packed["dtype"] not in _DTYPES:
        raise ValueError(f"unknown array type {packed['dtype']!r}")
    flat = np.frombuffer(base64.b64decode(packed["data"], validate=True), packed["dtype"])
    return flat.reshape(packed["shape"])


def encode(message: Message, kinds: Mapping[str, tuple[str, ...]]) -> str:
    """One line, newline included, of a message that has every field of its kind; numpy arrays are packed."""
    missing = [field for field in kinds[message["type"]] if field not in message]
    if missing:
        raise ValueError(f"{message['type']} lacks {missing}")
    return json.dumps(message, default=pack, separators=(",", ":"), ensure_ascii=False) + "\n"


def decode(line: str, kinds: Mapping[str, tuple[str, ...]]) -> Message | None:
    """The message of a line, arrays unpacked; None for an unknown type (a newer peer's).

    Raises MocapError protocol-mismatch when the line is not a message.
    """
    try:
        message = json.loads(line)
        fields = kinds.get(message["type"])
        if fields is None:
            return None
        for field in fields:
            value = message[field]
            if isinstance(value, dict) and "dtype" in value:
                message[field] = unpack(value)
        return message
    except (ValueError, KeyError, TypeError) as error:
        raise MocapError("protocol-mismatch", f"Not a message of this protocol: {line[:80]!r} ({error}).") from error
