"""The take file: one person's motion as AMASS SMPL-X `.npz`, with everything that made it.

Top-level arrays (T frames; world: z up, floor at z = 0, metres; camera: x right, y down, z forward):

    poses (T, 165)              axis-angle, radians, SMPL-X's 55 joints; the root in the world
    trans (T, 3)                AMASS' translation: pelvis joint = rest_offsets[0] + trans
    betas (16,) gender mocap_frame_rate surface_model_type          as AMASS has them; betas are zero
    rest_offsets (55, 3)        the person's own skeleton, see `skeleton.Skeleton`
    joints (T, 55, 3)           joint positions, world
    keypoints_foot (T, 6, 3)    `skeleton.FOOT_POINTS`, world
    contacts (T, 4)             uint8, `skeleton.CONTACTS`
    confidence (T, 55)          0..1
    keypoints2d (T, 133, 3)     COCO-WholeBody: x, y in pixels of the upright frame, confidence
    landmarks3d (T, 33, 4)      the landmark model's own points: metres, camera axes, hip-centred; visibility
    hand_landmarks (T, 2, 21, 4)    left and right hand: metres, camera axes, wrist-centred; confidence
    focal () center (2,) image_size (2,)        pinhole camera, pixels; no distortion
    R (T, 3, 3) t (T, 3)        x_camera = R x_world + t
    timestamps (T,) frames (T,) seconds and frame numbers in the video; frames without the person are left out
    fps () up_axis              frames a second of the clip, "z"
    provenance                  JSON text: video (name, SHA-256), models, engines, settings, licences, versions; `shot`,
                                the number between the video's cuts

`timestamps` rule where the frame rate varies; `mocap_frame_rate` is the average.

A capture of one person writes TAKE.npz. A capture of several writes TAKE.1.npz, TAKE.2.npz, ... (the number is the
track's) and the index TAKE.json: {"takes": [{"track", "name", "file", "frames", "first", "last"}], "video": ...}.
All persons of a shot share one world and one camera; most videos are one shot.

What the takes were solved from stays beside them as TAKE.keypoints (see `backend/observations.py`); a take's
provenance names it, `observations`, relative to the take.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from . import rotations
from .errors import MocapError
from .rotations import Array

REQUIRED = ("poses", "trans", "mocap_frame_rate")
# What reading a damaged .npz raises: zipfile, zlib or numpy, whichever comes upon the damage.
DAMAGE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


class NpzWriter:
    """Writes an `.npz` member by member and block by block, so that memory stays small.

    The file appears under its name only when complete: it grows beside it and is renamed at the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(path.name + ".tmp")
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def put(self, name: str, value: Any) -> None:
        """Write one whole array (or number, or string)."""
        array = np.asarray(value)
        self.put_blocks(name, array.dtype, array.shape, [array])

    def put_blocks(self, name: str, dtype: Any, shape: tuple[int, ...], blocks: Iterable[NDArray[Any]]) -> None:
        """Write one array of `shape` from consecutive blocks along its first axis."""
        dtype = np.dtype(dtype)
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for block in blocks:
                member.write(np.ascontiguousarray(block, dtype).tobytes())

    def __enter__(self) -> NpzWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        if kind is None:
            os.replace(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Take:
    """One person's take, read back; see the module's docstring for shapes, units and frames."""

    arrays: dict[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def __len__(self) -> int:
        return len(self.arrays["poses"])

    @property
    def rotations(self) -> Array:
        """(T, 55, 4) parent-relative quaternions, sign-continuous, root in the world."""
        return rotations.continuous(rotations.from_axis_angle(self["poses"].reshape(len(self), -1, 3)))

    @property
    def pelvis(self) -> Array:
        """(T, 3) metres, the pelvis joint in the world."""
        return self["trans"] + self["rest_offsets"][0]

    @property
    def times(self) -> Array:
        """(T,) seconds in the clip."""
        return self["timestamps"]

    @property
    def provenance(self) -> dict[str, Any]:
        """Where everything came from."""
        return json.loads(str(self["provenance"])) if "provenance" in self else {}


def read_take(source: Path | IO[bytes], names: Iterable[str] | None = None, required: Iterable[str] = REQUIRED) -> Take:
    """Read a take; names: only these arrays of it, where they are.

    Raises MocapError take-unreadable when it is missing, damaged or not SMPL-X motion: without what is required.
    """
    try:
        with np.load(source, allow_pickle=False) as data:
            there = data.files
            arrays = {name: data[name] for name in (there if names is None else set(names) & set(there))}
    except DAMAGE as error:
        raise MocapError("take-unreadable", f"{source} cannot be read as a take ({error}).") from error
    missing = [name for name in required if name not in there]
    if missing:
        raise MocapError("take-unreadable", f"{source} is not a take: it has no {', '.join(missing)}.")
    return Take(arrays)


def take_path(output: Path, track: int | None) -> Path:
    """Where a capture to `output` puts its take: the file itself, or one file per track."""
    return output if track is None else output.with_name(f"{output.stem}.{track}.npz")


def index_path(output: Path) -> Path:
    """The index beside the takes of a capture of several people."""
    return output.with_suffix(".json")


def read_index(path: Path) -> tuple[list[Path], str]:
    """The takes that an index names, and the SHA-256 of their video ("" where it is not told).

    Raises MocapError take-unreadable.
    """
    try:
        index = json.loads(path.read_text("utf-8"))
        takes = [path.parent / entry["file"] for entry in index["takes"]]
        sha256 = str(index.get("video", {}).get("sha256", ""))
        if not takes:
            raise ValueError("it names none")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise MocapError("take-unreadable", f"{path} is no index of takes ({error}).") from error
    return takes, sha256


def output_of(path: Path) -> Path:
    """The `output` of the capture that left a take, its index or its keypoints: TAKE.npz, also of TAKE.3.npz."""
    stem, _, track = path.stem.rpartition(".")
    several = path.with_name(f"{stem}.npz")
    if track.isdecimal() and index_path(several).is_file():
        return several
    return path if path.suffix.lower() == ".npz" else path.with_suffix(".npz")


def observations_path(output: Path) -> Path:
    """The keypoints that a capture to `output` leaves for solving it again."""
    return output.with_suffix(".keypoints")


def working_folder(output: Path) -> Path:
    """Where a capture to `output` keeps what is not finished; what is there after it was broken off is continued."""
    return output.with_name(output.name + ".part")
