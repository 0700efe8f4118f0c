"""Files that users have: of every published layout, of a wrong one, damaged, and hostile."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import files
import pytest
import torch

from backend.core.errors import MocapError
from backend.published import checkpoints, lookers, solvers
from backend.published.hmr2 import HMR2
from backend.published.vit import ViTSize


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_wants_to_run_something_is_refused(tmp_path: Path, legacy: bool) -> None:
    touched = tmp_path / "touched"
    path = tmp_path / "model.ckpt"
    content = {"state_dict": {"weight": torch.ones(2)}, "hyper_parameters": Hostile(f"touch {touched}")}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(MocapError) as failure:
        checkpoints.read(path)
    assert failure.value.code == "model-unsafe" and "system" in failure.value.what
    assert not touched.exists()
    if not legacy:  # and the file does what it says to those who open it the old way
        torch.load(path, weights_only=False)
        assert touched.exists()


def test_what_is_left_out_of_containers_cannot_be_made_to_run_either(tmp_path: Path) -> None:
    """`getattr` is named by honest containers; here it is none."""
    path = tmp_path / "model.ckpt"

    class Sly:
        def __reduce__(self) -> tuple[object, tuple[object, str]]:
            return getattr, (dict, "fromkeys")

    torch.save({"state_dict": {"weight": torch.ones(2)}, "x": Sly()}, path)
    assert list(checkpoints.read(path)) == ["weight"]
    with torch.serialization.safe_globals(checkpoints.LEFT_OUT):
        opened = torch.load(path, weights_only=True)
    assert type(opened["x"]) is checkpoints.Shell


@pytest.mark.parametrize(
    ("make", "kind"),
    [(files.hmr2, "hmr2"), (files.gvhmr, "gvhmr"), (files.vitpose, "vitpose"), (files.rtmpose, "rtmpose")],
)
def test_published_containers_are_read(tmp_path: Path, make, kind: str) -> None:
    path = make(tmp_path / "published.ckpt")
    weights = checkpoints.read(path)
    assert checkpoints.kind(weights) == kind
    assert all(isinstance(tensor, torch.Tensor) for tensor in weights.values())


def test_footmr_is_told_from_gvhmr(tmp_path: Path) -> None:
    assert "FootMR" in checkpoints.looks_like(checkpoints.read(files.gvhmr(tmp_path / "f.ckpt", feet=True)))


def test_weights_arrive_where_they_belong(tmp_path: Path) -> None:
    path = files.hmr2(tmp_path / "hmr2.ckpt")
    network = HMR2(files.SMALL)
    checkpoints.load(network, checkpoints.read(path), "HMR2.0", path)
    with files.foreign("yacs.config", "CfgNode"):
        saved = torch.load(path, weights_only=False)["state_dict"]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, saved[name]), name
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_a_wrong_file_is_told_what_it_looks_like(tmp_path: Path) -> None:
    path = files.vitpose(tmp_path / "vitpose.pth")
    with pytest.raises(MocapError, match=r"looks like ViTPose; HMR2\.0 was expected") as failure:
        checkpoints.load(HMR2(files.SMALL), checkpoints.read(path), "HMR2.0", path)
    assert failure.value.code == "model-wrong"
    path = files.hmr2(tmp_path / "hmr2.ckpt")
    with pytest.raises(MocapError, match=r"is not HMR2\.0: its .* has the shape \(.*32.*\), not"):
        checkpoints.load(HMR2(ViTSize(64, 1, 2)), checkpoints.read(path), "HMR2.0", path)
    assert "unknown network of 1 tensors" in checkpoints.looks_like({"a": torch.ones(3)})


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (lookers.HMR2Looker, r"HMR2\.0"),
        (lookers.TokenLooker, r"HMR2\.0"),
        (lookers.CamCalibLooker, "CamCalib"),
        (lambda file, device: lookers.WHMRLooker(file, file, device), "W-HMR"),
        (solvers.GVHMRSolver, "GVHMR"),
        (solvers.PublishedFootMR, "FootMR"),
    ],
    ids=["hmr2", "token", "camcalib", "whmr", "gvhmr", "footmr"],
)
def test_every_engine_tells_a_wrong_file(tmp_path: Path, engine, expected: str) -> None:
    with pytest.raises(MocapError, match=f"looks like ViTPose; {expected}.* was expected") as failure:
        engine(files.vitpose(tmp_path / "other.pth"), "cpu")
    assert failure.value.code == "model-wrong"


def test_vitpose_tells_a_wrong_file(tmp_path: Path) -> None:
    with pytest.raises(MocapError, match=r"looks like HMR2\.0 .*; ViTPose was expected") as failure:
        lookers.ViTPoseLooker(files.hmr2(tmp_path / "other.ckpt"), "cpu")
    assert failure.value.code == "model-wrong"
    weights = dict(checkpoints.read(files.vitpose(tmp_path / "half.pth")))
    del weights["backbone.pos_embed"]
    torch.save(weights, tmp_path / "half.pth")
    with pytest.raises(MocapError) as failure:
        lookers.ViTPoseLooker(tmp_path / "half.pth", "cpu")
    assert failure.value.code == "model-wrong" and "backbone.pos_embed" in failure.value.what


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"a": 1}, protocol=2), "cut"])
def test_damaged_files(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "model.ckpt"
    if isinstance(content, str):
        files.gvhmr(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(content)
    with pytest.raises(MocapError) as failure:
        checkpoints.load(HMR2(files.SMALL), checkpoints.read(path), "HMR2.0", path)
    assert failure.value.code in ("model-unreadable", "model-wrong")


def test_safetensors_are_read_and_a_missing_file_is_told(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"smpl_head.decpose.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    assert checkpoints.kind(checkpoints.read(tmp_path / "model.safetensors")) == "hmr2"
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    for name, code in (("broken.safetensors", "model-unreadable"), ("none.ckpt", "model-missing")):
        with pytest.raises(MocapError) as failure:
            checkpoints.read(tmp_path / name)
        assert failure.value.code == code
