"""When the networks look at a picture again."""

from __future__ import annotations

from pathlib import Path

import files
import numpy as np
import torch

from backend.look import looked, record_with
from backend.published.lookers import CAMCALIB_FIELDS, CamCalibLooker
from backend.stages import OBSERVATION, Frame, Sighting


def test_camcalib_looks_again_where_another_shot_begins(tmp_path: Path) -> None:
    """Also when nobody is in its first picture."""
    looker = CamCalibLooker(files.camcalib(tmp_path / "camcalib.ckpt"), "cpu")
    looker._runner = lambda pictures, network: torch.full((1, 3), float(pictures[0].mean()))

    def tracked():
        for index in range(12):
            picture = np.full((60, 80, 3), 50 if index < 6 else 200, np.uint8)
            seen = np.zeros(1, OBSERVATION)[0]
            seen["frame"] = index
            frame = Frame(index, index / 30, picture, 1.0, cut=index == 6)
            yield frame, [] if index == 6 else [Sighting(1, seen)]

    record = record_with(CAMCALIB_FIELDS)
    people = [seen.observation for _, here in looked(tracked(), [looker], record) for seen in here]
    shots = [person["camcalib"][0] for person in people]
    assert len(set(shots[:6])) == len(set(shots[6:])) == 1 and shots[0] < 0 < shots[6]
