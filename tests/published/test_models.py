"""The models manager, as it is run: what is listed, added, verified, downloaded and refused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import files
import numpy as np
import pytest

from backend.cli import main
from backend.core.errors import MocapError
from backend.models import catalogue, download
from backend.models.library import VARIABLE, Library

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of their own."""
    for variable in ("XDG_DATA_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "home"


def models(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", "models", *map(str, arguments)],
        cwd=ROOT, env=dict(os.environ), input=text, capture_output=True, text=True,
    )  # fmt: skip


def test_a_file_is_added_verified_and_forgotten(tmp_path: Path) -> None:
    own = files.gvhmr(tmp_path / "gvhmr_siga24_release.ckpt")
    result = models("add", "gvhmr", own)
    assert result.returncode == 0, result.stderr
    assert json.loads(models("list", "--json").stdout)["models"]["gvhmr"]["added"]["file"] == str(own)
    assert "gvhmr: ok" in models("verify").stdout
    own.write_bytes(own.read_bytes() + b"x")
    changed = models("verify", "gvhmr")
    assert "gvhmr: changed" in changed.stdout and changed.returncode == 5
    assert models("remove", "gvhmr").returncode == 0 and own.is_file()
    assert models("remove", "gvhmr").returncode == 5


def test_only_what_was_fetched_is_deleted(tmp_path: Path) -> None:
    Library().folder.mkdir(parents=True)
    own = files.gvhmr(Library().folder / "footmr_checkpoint.ckpt", feet=True)
    Library().add("gvhmr", own)
    Library().add("footmr", own, fetched=True)
    assert not Library().remove("footmr") and own.is_file(), "another model still uses it"
    assert not Library().remove("gvhmr") and own.is_file(), "the user put it there"


def touched(file: Path, seconds: float) -> None:
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime + seconds))


def test_a_file_that_has_changed_is_not_used(tmp_path: Path) -> None:
    own = files.gvhmr(tmp_path / "gvhmr.ckpt")
    Library().add("gvhmr", own)
    touched(own, 5)  # copied back by a backup, say
    assert Library().path("gvhmr") == own and Library().added["gvhmr"].modified == own.stat().st_mtime
    content = bytearray(own.read_bytes())
    content[-1000] ^= 1
    own.write_bytes(content)
    touched(own, 10)
    with pytest.raises(MocapError, match="has changed since") as failure:
        Library().path("gvhmr")
    assert failure.value.code == "model-checksum"
    assert "(changed since then: add it again)" in models("list").stdout
    own.unlink()
    assert "(no longer there)" in models("list").stdout
    told = json.loads(models("list", "--json").stdout)
    assert told["models"]["gvhmr"]["added"]["state"] == "missing" and "lifter" in told["engines"]["body"]


def test_without_pytorch_only_what_cannot_be_a_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, other = tmp_path / "login.ckpt", files.vitpose(tmp_path / "other.pth")
    page.write_text("<!DOCTYPE html><title>Log in</title>")
    here = importlib.util.find_spec
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else here(name))
        with pytest.raises(MocapError) as failure:
            Library().add("hmr2", page)
        assert failure.value.code == "model-unreadable"
        assert main(["models", "add", "vitpose", str(other)]) == 0
        assert "not looked into" in capsys.readouterr().out
        Library().add("gvhmr", other)
        assert Library().path("gvhmr") == other
    assert Library().path("vitpose") == other and Library().added["vitpose"].checked
    with pytest.raises(MocapError, match="looks like ViTPose"):
        Library().path("gvhmr")


def test_other_bodies_are_not_smplx(tmp_path: Path) -> None:
    own = files.smplx(tmp_path / "SMPLX_NEUTRAL.npz")
    Library().add("smplx", own)
    with np.load(own, allow_pickle=True) as body:
        arrays = dict(body)
    joints = {"J_regressor": arrays["J_regressor"][:52], "weights": arrays["weights"][:, :52]}
    for change in (joints, {"f": arrays["f"][:, :2]}, {"shapedirs": arrays["shapedirs"][..., :9]}):
        np.savez(tmp_path / "other.npz", **{**arrays, **change})
        with pytest.raises(MocapError) as failure:
            Library().add("smplx", tmp_path / "other.npz")
        assert failure.value.code == "model-wrong"


def test_every_model_is_listed_with_its_licence() -> None:
    listed = models("list").stdout
    for name, model in catalogue.MODELS.items():
        assert f"{name}: {model.title}" in listed and f"licence: {model.licence}" in listed and model.source in listed


def test_what_is_not_known_of_a_model_is_said() -> None:
    listed = dict(
        part.split(":", 1) for part in models("list").stdout.split("\n\n")[0].split("\n    not added\n") if part
    )
    for name, model in catalogue.MODELS.items():
        assert (f"about {model.megabytes} MB" in listed[name]) == bool(model.megabytes)
        assert ("size not known" in listed[name]) != bool(model.megabytes)
        assert ("checksum: not known" in listed[name]) != bool(model.sha256)
        assert len(model.sha256) in (0, 64) and (not model.url or model.sha256), "what is fetched can be checked"


def test_another_version_of_a_file_is_welcome_and_told(tmp_path: Path) -> None:
    own = files.gvhmr(tmp_path / "gvhmr_siga24_release.ckpt")
    assert "(another version than the known one)" in models("add", "gvhmr", own).stdout
    assert "(another version than the known one)" in models("list").stdout
    own = files.gvhmr(tmp_path / "footmr_checkpoint.ckpt", feet=True)  # of which no checksum is known
    assert models("add", "footmr", own).stdout.strip() == str(own)


def test_a_wrong_file_is_not_added(tmp_path: Path) -> None:
    result = models("add", "hmr2", files.vitpose(tmp_path / "some.pth"))
    assert result.returncode == 5 and "looks like ViTPose" in result.stderr and "[model-wrong]" in result.stderr
    assert not Library().added


def test_commercially_safe_only_hides_and_refuses_the_rest(tmp_path: Path) -> None:
    own = files.gvhmr(tmp_path / "gvhmr.ckpt")
    Library().add("gvhmr", own)
    assert models("commercial-only", "on").returncode == 0
    assert set(Library().visible()) == {"vitpose", "rtmpose"}
    for attempt in (
        lambda: Library().path("gvhmr"),
        lambda: Library().add("gvhmr", own),
        lambda: download.fetch(Library(), "gvhmr"),
    ):
        with pytest.raises(MocapError) as failure:
            attempt()
        assert failure.value.code == "model-licence"
    assert models("commercial-only", "off").returncode == 0
    assert Library().path("gvhmr") == own


def test_the_folder_is_the_users_choice(tmp_path: Path, home: Path) -> None:
    assert str(Library().folder).startswith(str(home))
    Library().add("gvhmr", files.gvhmr(tmp_path / "gvhmr.ckpt"))
    assert models("folder", tmp_path / "modèles").stdout.strip() == str(tmp_path / "modèles")
    assert Library().folder == tmp_path / "modèles" and "gvhmr" in Library().added


@pytest.mark.parametrize(("content", "fine"), [(np.arange(67), True), (np.arange(9), False)])
def test_files_that_are_no_checkpoints_are_looked_at_too(tmp_path: Path, content: np.ndarray, fine: bool) -> None:
    np.save(tmp_path / "smpl_ssm.npy", content)
    assert (models("add", "whmr-markers", tmp_path / "smpl_ssm.npy").returncode == 0) == fine
    np.savez(tmp_path / "body.npz", v_template=np.zeros(3))
    assert "lacks J_regressor" in models("add", "smplx", tmp_path / "body.npz").stderr
    (tmp_path / "body.npz").write_bytes(b"PK\x03\x04 cut short")
    assert "[model-unreadable]" in models("add", "smplx", tmp_path / "body.npz").stderr


class Shop(BaseHTTPRequestHandler):
    """Serves one file; breaks off after `limit` bytes; continues where it is asked to, if `ranges`."""

    content = b""
    limit = 1 << 30
    ranges = True
    asked: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : start + self.limit])

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Shop]]:
    """A publisher on this machine, whom the catalogue's RTMPose comes from."""
    content = files.rtmpose(tmp_path / "rtmpose.pth").read_bytes()
    kind = type("OneShop", (Shop,), {"content": content, "asked": []})
    server = HTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sold = replace(
        catalogue.MODELS["rtmpose"],
        url=f"http://127.0.0.1:{server.server_port}/rtmpose.pth",
        sha256=hashlib.sha256(content).hexdigest(),
    )
    monkeypatch.setitem(catalogue.MODELS, "rtmpose", sold)
    yield kind
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_is_continued(shop: type[Shop], ranges: bool) -> None:
    shop.limit, shop.ranges = len(shop.content) // 3, ranges
    with pytest.raises(MocapError) as failure:
        download.fetch(Library(), "rtmpose")
    assert failure.value.code == "model-download" and not Library().added
    shop.limit = 1 << 30
    file = download.fetch(Library(), "rtmpose")
    assert file.read_bytes() == shop.content and Library().path("rtmpose") == file
    assert shop.asked == [None, f"bytes={len(shop.content) // 3}-"]
    assert Library().remove("rtmpose") and not file.exists()


def test_another_file_than_promised_is_not_kept(shop: type[Shop], tmp_path: Path) -> None:
    shop.content = files.rtmpose(tmp_path / "other.pth", bias=1.0).read_bytes()  # of the same kind, and whole
    with pytest.raises(MocapError) as failure:
        download.fetch(Library(), "rtmpose")
    assert failure.value.code == "model-checksum"
    assert not list(Library().folder.glob("rtmpose*"))


def test_nothing_is_downloaded_without_a_yes(home: Path) -> None:
    for answer in ("", "no\n"):
        result = models("add", "rtmpose", "--download", text=answer)
        assert result.returncode == 5 and "[model-consent]" in result.stderr and "Apache-2.0" in result.stderr
    assert not list(home.rglob("*.part"))
    result = models("add", "smplx", "--download", "--yes")
    assert result.returncode == 5 and "https://smpl-x.is.tue.mpg.de" in result.stderr
