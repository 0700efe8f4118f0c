"""The second choice: packages for published models, beside the environment and apart from it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest


@pytest.fixture
def groups(addon):
    return import_module(f"{addon.__name__}.setup.groups")


@pytest.fixture
def plan(groups):
    return groups.plan


@pytest.fixture
def folder(plan, tmp_path):
    """The user folder of somebody who has set up the capture; its environment has no packages."""
    folder = tmp_path / "Zoë's mocap folder"
    environment = plan.environment(folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    version = ".".join(map(str, sys.version_info[:3]))
    told = {"lock": plan.digest(plan.LOCK), "python": version, "base": sys.executable, "bytes": 1}
    (environment / "stamp.json").write_text(json.dumps(told))
    return folder


def put(groups, folder, name: str, module: str, python: str = "") -> None:
    """A group as an addition leaves it, of one module."""
    place = groups.place(folder, name)
    site = place / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
    if sys.platform == "win32":
        site = place / "Lib" / "site-packages"
    site.mkdir(parents=True)
    (site / f"{module}.py").write_text("there = True\n")
    version = python or ".".join(map(str, sys.version_info[:3]))
    told = {"lock": groups.plan.digest(groups.lock(name)), "python": version, "build": "cpu", "bytes": 1}
    (place / "stamp.json").write_text(json.dumps(told))
    groups.link(folder)


def imports(plan, folder, module: str) -> bool:
    python = plan.interpreter(plan.environment(folder))
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def test_a_group_is_seen_by_the_environment_and_goes_with_those_that_need_it(addon, groups, plan, folder):
    assert not imports(plan, folder, "tinytorch") and groups.state(folder, "gpu") == "MISSING"
    put(groups, folder, "gpu", "tinytorch")
    put(groups, folder, "yolo", "tinyolo")
    assert groups.state(folder, "gpu") == groups.state(folder, "yolo") == "READY"
    assert imports(plan, folder, "tinytorch") and imports(plan, folder, "tinyolo")
    child = import_module(f"{addon.__name__}.setup.child")
    drop = child.Setup(folder, "drop", group="gpu")
    drop.run()
    assert drop.error is None
    assert not list((folder / "groups").iterdir())
    assert not imports(plan, folder, "tinytorch") and not imports(plan, folder, "tinyolo")
    assert plan.state(folder) == "READY"


def test_a_group_for_another_python_is_left_out(groups, plan, folder):
    put(groups, folder, "gpu", "tinytorch", python="3.2.1")
    assert groups.state(folder, "gpu") == "OUTDATED"
    assert not imports(plan, folder, "tinytorch")


def test_an_addition_that_fails_leaves_everything_as_it_was(addon, groups, plan, folder, tmp_path):
    child = import_module(f"{addon.__name__}.setup.child")
    put(groups, folder, "gpu", "tinytorch")
    (tmp_path / "wheels").mkdir()
    for group, code, what in (("gpu", "setup-unsupported", "torch"), ("yolo", "setup-unsupported", "torchvision")):
        setup = child.Setup(folder, "add", wheels=tmp_path / "wheels", group=group, build="cpu")
        setup.run()
        assert setup.error and setup.error.code == code and what in setup.error.what, setup.error
    assert imports(plan, folder, "tinytorch") and groups.state(folder, "yolo") == "MISSING"
    groups_before = sorted(path.name for path in folder.iterdir())
    assert groups_before == ["backend-env", "groups", "logs", "setup"]


def test_what_has_to_be_there_first_is_said(addon, groups, folder, tmp_path):
    child = import_module(f"{addon.__name__}.setup.child")
    setup = child.Setup(folder, "add", wheels=tmp_path, group="rtmpose", build="cpu")
    setup.run()
    assert setup.error and "PyTorch" in setup.error.what


@pytest.mark.parametrize("name", ["gpu", "yolo", "rtmpose"])
def test_locks_of_groups_are_understood_and_leave_the_default_packages_alone(groups, plan, name):
    text = groups.lock(name).read_text("utf-8")
    everywhere, default = set(), set()
    for version in ((3, 11, 9), (3, 13, 1)):
        for platform in ("linux", "darwin", "win32"):
            everywhere |= {package.name for package in plan.read(groups.lock(name), version, platform)}
            default |= {package.name for package in plan.read(plan.LOCK, version, platform)}
    assert everywhere == {line.split("==")[0] for line in text.splitlines() if "==" in line and line[0] != " "}
    assert not everywhere & default
    assert all(package.licence for package in plan.read(groups.lock(name), (3, 11, 0), "linux"))


def test_builds_come_from_where_they_are(groups):
    def told(build: str, platform: str) -> dict[str, str]:
        return {each.name: each.version for each in groups.requirements("gpu", build, (3, 11, 9), platform)}

    linux, windows, mac = told("cpu", "linux"), told("cuda", "win32"), told("mps", "darwin")
    assert linux["torch"].endswith("+cpu") and not [name for name in linux if name.startswith("nvidia")]
    assert "+" not in told("cuda", "linux")["torch"] and "nvidia-cublas" in told("cuda", "linux")
    assert windows["torch"].endswith("+" + groups.CUDA) and "+" not in told("cpu", "win32")["torch"]
    assert "+" not in mac["torch"] and "triton" not in mac
    unlocked = [each.name for each in groups.requirements("gpu", "cpu", (3, 11, 9), "linux") if not each.hashes]
    assert unlocked == ["torch"]


def test_the_build_is_chosen_by_the_driver_that_is_there(groups, tmp_path):
    driver = tmp_path / "version"
    assert groups.detected("linux", driver)[0] == "cpu"
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Wed Sep 10\nGCC version: 12\n"
    driver.write_text(line.format("580.65.06"))
    assert groups.detected("linux", driver)[0] == "cuda"
    driver.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.10.01  Release Build\n")
    assert groups.detected("linux", driver) == ("cpu", "old")
    assert groups.detected("darwin", driver)[0] == "mps"


@pytest.mark.slow
def test_pytorch_from_its_index(addon, groups, plan, folder):
    """Downloads about 200 MB; broken off once in the middle. The default packages come from the wheels of `dev.py`."""
    child = import_module(f"{addon.__name__}.setup.child")
    wheels = Path(__file__).parents[2] / ".cache" / "wheels-{}.{}".format(*sys.version_info)
    first = child.Setup(folder, wheels=wheels)
    first.run()
    assert first.error is None, first.error
    broken = child.Setup(folder, "add", group="gpu", build="cpu")
    for _ in broken.steps():
        if broken.stage == "download" and broken.done > 1e6:
            broken.cancel()
    assert broken.error and broken.error.code == "cancelled" and groups.state(folder, "gpu") == "MISSING"
    added = child.Setup(folder, "add", group="gpu", build="cpu")
    added.run()
    assert added.error is None, added.error
    assert groups.state(folder, "gpu") == "READY" and imports(plan, folder, "torch")
    again = child.Setup(folder, wheels=wheels)  # the environment made anew still has it
    again.run()
    assert again.error is None and imports(plan, folder, "torch")
