"""The embedded landmark models: which files they are, and where.

They are MediaPipe's (Apache-2.0), fetched by `packaging/downloads.py`, told apart by their SHA-256, and travel in the
extension's zip; the source folder does not carry them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .core.errors import MocapError

FULL, HEAVY = "pose_landmark_full.tflite", "pose_landmark_heavy.tflite"  # two sizes of the same landmark model
# File name, as published and in `folder()` -> SHA-256.
MODELS: dict[str, str] = {
    "pose_detection.tflite": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    FULL: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    HEAVY: "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    "hand_landmark_full.tflite": "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    "hand_recrop.tflite": "67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
    "face_landmark.tflite": "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
}
LICENCE = "Apache-2.0"


def models_with(pose: str) -> tuple[str, ...]:
    """The models of a capture whose bodies are seen with FULL or HEAVY."""
    return tuple(name for name in MODELS if name == pose or name not in (FULL, HEAVY))


def folder() -> Path:
    """Where the models lie: in the extension, beside its other assets."""
    return Path(__file__).parents[1] / "assets" / "embedded"


def model_path(name: str) -> Path:
    """The file of a model of `MODELS`. Raises MocapError models-missing when it is not there."""
    if name not in MODELS:
        raise KeyError(name)
    path = folder() / name
    if not path.is_file():
        raise MocapError("models-missing", f"The landmark model {name} is not in {path.parent}.")
    return path


def is_genuine(name: str) -> bool:
    """Whether the file of a model is the very one that we tested with."""
    return hashlib.sha256(model_path(name).read_bytes()).hexdigest() == MODELS[name]
