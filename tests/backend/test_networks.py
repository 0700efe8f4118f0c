"""The shipped networks, held to their figures on clips of people whom no training has seen (nine as people move,
three with ankles as people rarely hold them; `packaging/validation_clips.py` made them). Bounds have a margin: what
fails here is a worse network, not a bad day."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend import networks
from backend.core import rotations
from backend.core.errors import MocapError
from backend.engines import ENGINES
from backend.evaluation import chains
from backend.evaluation.metrics import angle_between
from backend.world.ground import upright_camera
from backend.world.steady import steadied

ROOT = Path(__file__).parents[2]
USUAL = 9
CLIPS = chains.read_clips(Path(__file__).parents[1] / "golden" / "motion_clips.npz")
FULL = "lifter + footmr + orientcorrect"

Figures = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def usual() -> Figures:
    return {name: chains.measure(chain, CLIPS[:USUAL]) for name, chain in chains.chains().items()}


@pytest.fixture(scope="module")
def feet() -> Figures:
    return {name: chains.measure(chain, CLIPS[USUAL:]) for name, chain in chains.chains().items()}


def test_the_lifter_is_better_than_what_it_replaces(usual: Figures) -> None:
    before, after = usual["analytic"], usual["lifter"]
    assert after["PA-MPJPE mm"] < 0.55 * before["PA-MPJPE mm"]
    assert after["accel m/s²"] < 0.25 * before["accel m/s²"]
    assert after["twist °"] < 0.5 * before["twist °"]


def test_footmr_betters_feet_and_nothing_else_gets_worse(usual: Figures, feet: Figures) -> None:
    for figures, of_analytic in ((usual, 0.45), (feet, 0.6)):
        for body, most in (("lifter", 0.985), ("lifter, feet unseen", 0.96)):
            before, after = figures[body], figures[f"{body} + footmr"]
            assert after["AJAE °"] < most * before["AJAE °"]
            assert after["N-MPJPE_F mm"] < most * before["N-MPJPE_F mm"]
            assert after["PA-MPJPE mm"] < before["PA-MPJPE mm"] + 0.5
        assert figures["lifter + footmr"]["AJAE °"] < of_analytic * figures["analytic"]["AJAE °"]


def test_gravity_is_found(usual: Figures) -> None:
    assert usual[FULL]["gravity ° median"] < 3.5
    assert usual[FULL]["gravity ° median"] < 0.8 * usual["analytic"]["gravity ° median"]
    assert usual[FULL]["95th"] < 0.8 * usual["lifter"]["95th"]


def test_people_lean_less_wrongly_once_it_is_known_which_way_is_up() -> None:
    chain = chains.chains()[FULL]
    before, after = [], []
    for clip in CLIPS:
        turns = clip.observations["turn"].astype(float)
        skeleton = chain.measure(clip.observations, clip.camera)
        first = chain.solve(clip.observations, skeleton, clip.camera)
        measured = upright_camera([(skeleton, steadied(first, turns))], clip.camera)
        second = chain.solve(clip.observations, skeleton, measured)
        up = rotations.rotate(rotations.multiply(turns, measured.rotation), [0.0, 0.0, 1.0])
        true = rotations.rotate(rotations.inverse(clip.local[:, 0]), -clip.down)
        for motion, found in ((first, before), (second, after)):
            found.append(angle_between(rotations.rotate(rotations.inverse(motion.rotations[:, 0]), up), true))
    assert np.mean(after) < min(4.0, 0.95 * np.mean(before))
    assert np.quantile(after, 0.95) < 0.95 * np.quantile(before, 0.95)


def test_running_a_network_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    """ONNX Runtime's wheels would collect there what they send."""
    run = "from backend.onnx import Network; Network('orient')"
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", run], cwd=ROOT, env={**os.environ, **home}, check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["body", "feet", "orient"])
def test_a_network_that_is_not_there_is_an_obstacle_that_says_so(
    stage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = next(iter(ENGINES[stage].values()))
    assert engine.obstacle() is None
    monkeypatch.setattr(networks, "FOLDER", tmp_path)
    obstacle = engine.obstacle()
    assert isinstance(obstacle, MocapError)
    assert obstacle.code == "models-missing"
