"""Every published engine inside the whole capture of a real clip: files in the true layout, small, random weights.

What such a capture shows is that all parts fit together; that the networks are the published ones, `test_golden` shows.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import files
import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "backend"))
from clips import person_pictures, write_video

from backend import engines
from backend.core.errors import MocapError
from backend.core.skeleton import PARENTS
from backend.core.take import read_take
from backend.job import Job, Resolve
from backend.look import OBSERVATION
from backend.models.library import VARIABLE, Library
from backend.pipeline import capture
from backend.published import lookers, registry, runtime
from backend.resolve import resolve
from backend.store import ObservationStore

MAKE: dict[str, Callable[[Path], Path]] = {
    "hmr2": files.hmr2,
    "hmr2a": files.hmr2,
    "gvhmr": files.gvhmr,
    "footmr": lambda path: files.gvhmr(path, feet=True),
    "vitpose": files.vitpose,
    "camcalib": files.camcalib,
    "whmr": files.whmr,
}
CHAINS = [
    {"body": "hmr2"},
    {"body": "gvhmr", "root": "gvhmr"},
    {"keypoints": "vitpose", "body": "gvhmr23", "feet": "footmr-published", "root": "gvhmr23"},
    {"orient": "camcalib"},
    {"orient": "whmr"},
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, demo_clip: Path) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", person_pictures(demo_clip, 12))


@pytest.fixture(autouse=True)
def added(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has added every model."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("XDG_DATA_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv(VARIABLE, str(home / "models"))
    torch.manual_seed(0)  # what random networks say differs by much
    for name, make in MAKE.items():
        Library().add(name, make(home / f"{name}.ckpt"))
    np.save(home / "smpl_ssm.npy", np.arange(67))
    Library().add("whmr-markers", home / "smpl_ssm.npy")
    return home


def job(clip: Path, output: Path, **chain: str) -> Job:
    return Job(clip, output, people="largest", engines=chain)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: "-".join(chain.values()))
def test_a_capture_with_it(clip: Path, tmp_path: Path, chain: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    looking: list[int] = []  # networks that still look at pictures, each time memory is given back
    monkeypatch.setattr(
        runtime, "release", lambda: looking.append(sum(type(thing) is runtime.Runner for thing in gc.get_objects()))
    )
    stages: list[str] = []
    takes = capture(
        job(clip, tmp_path / "take.npz", **chain), lambda m: stages.append(m.get("name", "")), lambda: False
    )
    take = read_take(takes[0])
    assert len(take) == 12 and np.isfinite(take["poses"]).all() and np.isfinite(take["trans"]).all()
    assert looking == [0], "after tracking, once, when nobody holds them any more"
    small_toes = take["keypoints2d"][:, [18, 21], 2]
    assert (small_toes > 0.5).all() if chain.get("keypoints") == "vitpose" else (small_toes == 0).all()
    for stage, name in chain.items():
        told = take.provenance["engines"][stage]
        needed = engines.ENGINES[stage][name].published
        assert told["name"] == name and set(told["models"]) == set(needed)
        assert all(len(checksum) == 64 for checksum in told["models"].values())
        assert told["commercial_use"] == (name == "vitpose") and told["licence"]


def test_the_networks_decide_the_pose(clip: Path, tmp_path: Path) -> None:
    """What a random network says is in the take, and solving again from the keypoints says the same."""
    captured = capture(job(clip, tmp_path / "take.npz", body="gvhmr"), lambda message: None, lambda: False)
    plain = capture(job(clip, tmp_path / "plain.npz", body="analytic"), lambda message: None, lambda: False)
    first, other = (read_take(takes[0])["poses"][:, 3:66] for takes in (captured, plain))
    assert np.abs(first - other).mean() > 0.1
    asked = Resolve(tmp_path / "take.keypoints", tmp_path / "again.npz")
    again = read_take(resolve(asked, lambda message: None, lambda: False)[0])["poses"][:, 3:66]
    np.testing.assert_allclose(first, again, atol=0.02)
    lacking = Resolve(tmp_path / "plain.keypoints", tmp_path / "none.npz", engines={"body": "gvhmr"})
    with pytest.raises(MocapError) as failure:
        resolve(lacking, lambda message: None, lambda: False)
    assert failure.value.code == "engine-unavailable"


def test_with_smplx_the_bones_are_those_of_the_shape_that_is_seen(clip: Path, tmp_path: Path, added: Path) -> None:
    Library().add("smplx", files.smplx(added / "SMPLX_NEUTRAL.npz"))
    take = read_take(capture(job(clip, tmp_path / "take.npz", body="gvhmr"), lambda m: None, lambda: False)[0])
    assert take.provenance["engines"]["body"]["models"]["smplx"] == Library().added["smplx"].sha256
    with np.load(added / "SMPLX_NEUTRAL.npz") as body:
        joints = body["J_regressor"] @ body["v_template"]
        spread = np.einsum("jv,vkb->jkb", body["J_regressor"], body["shapedirs"][..., :10])
    # Which shape a random network sees is not known: the bones must be those of one.
    every = np.concatenate([joints[j] - joints[p] for j, p in enumerate(PARENTS) if p >= 0])
    moves = np.concatenate([spread[j] - spread[p] for j, p in enumerate(PARENTS) if p >= 0])
    seen = take["rest_offsets"][1:].reshape(-1)
    system = np.column_stack([moves, -seen])  # joints + moves betas = seen / size, the size set by the floor
    solution, *_ = np.linalg.lstsq(system, -every, rcond=None)
    np.testing.assert_allclose(system @ solution, -every, atol=1e-3)


def test_a_body_model_that_is_gone_is_neither_used_nor_recorded(clip: Path, tmp_path: Path, added: Path) -> None:
    captured = job(clip, tmp_path / "take.npz", body="gvhmr")
    Library().add("smplx", files.smplx(added / "SMPLX_NEUTRAL.npz"))
    (added / "SMPLX_NEUTRAL.npz").unlink()
    told = read_take(capture(captured, lambda m: None, lambda: False)[0]).provenance
    assert "smplx" not in told["engines"]["body"]["models"]
    assert any(code == "model-missing" and "SMPLX_NEUTRAL.npz" in what for code, what in told["warnings"])


def test_the_device_is_the_fastest_that_the_engines_use(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, ours = (engines.choose({"body": name}, "auto") for name in ("gvhmr", "lifter"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert published.device("auto") == "cuda" and published.device("cpu") == ours.device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert published.device("auto") == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    asked = replace(job(clip, tmp_path / "take.npz", orient="camcalib"), device="auto")
    assert read_take(capture(asked, lambda m: None, lambda: False)[0]).provenance["settings"]["device"] == "cpu"


def test_a_camera_that_travels_goes_on_travelling_with_gvhmrs_root(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ObservationStore, "travels", lambda self, shot: True)
    monkeypatch.setattr(ObservationStore, "places", lambda self, frames: np.outer(frames, [0.05, 0, 0]))
    monkeypatch.setattr("backend.pipeline.stride.unit", lambda seen: 2.0)
    take = read_take(capture(job(clip, tmp_path / "take.npz", **CHAINS[1]), lambda m: None, lambda: False)[0])
    eye = -np.einsum("tba,tb->ta", take["R"], take["t"])
    assert np.linalg.norm(eye[-1] - eye[0]) == pytest.approx(2.0 * 0.05 * 11, rel=1e-3)


def test_an_engine_whose_model_was_not_added_says_so(clip: Path, tmp_path: Path) -> None:
    Library().remove("hmr2")
    with pytest.raises(MocapError) as failure:
        capture(job(clip, tmp_path / "take.npz", body="hmr2"), lambda message: None, lambda: False)
    assert failure.value.code == "model-missing" and "HMR2.0" in failure.value.what
    assert "hmr2" not in engines.capabilities()["engines"]["body"]
    assert "gvhmr" in engines.capabilities()["engines"]["body"]
    Library().set_commercial_only(True)
    assert "gvhmr" not in engines.capabilities()["engines"]["body"]
    assert "vitpose" in engines.capabilities()["engines"]["keypoints"]


def test_the_registry_knows_what_the_lookers_write() -> None:
    for stage, name, fields in (
        ("body", "hmr2", lookers.HMR2_FIELDS),
        ("body", "gvhmr", lookers.TOKEN_FIELDS),
        ("body", "gvhmr23", lookers.TOKEN_FIELDS),
        ("orient", "camcalib", lookers.CAMCALIB_FIELDS),
        ("orient", "whmr", lookers.WHMR_FIELDS),
    ):
        assert registry.ENGINES[stage][name].fields == fields
    assert engines.choose({}, "cpu").record() == OBSERVATION
