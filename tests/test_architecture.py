"""Lines that hold the repository together: who may import what, what is written where, what must not be committed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from backend.core.errors import CODES

ROOT = Path(__file__).parents[1]
MOST_LINES = 500

SHARED = "backend/core"  # what both halves may use

# folder -> what its modules may import beside the standard library and their own package; the innermost folder counts
CAPTURE = {"numpy", "cv2", "av", "scipy", "ai_edge_litert", "onnxruntime"}
ALLOWED = {
    "mocap_addon": {"bpy", "mathutils", "bpy_extras", "bl_ui", "blf", "gpu", "gpu_extras", "numpy"},
    "backend/core": {"numpy"},
    "backend/motion": CAPTURE | {"torch", "safetensors", "onnx"},
    "backend/published": CAPTURE | {"torch", "safetensors", "ultralytics", "mmpose", "mmengine"},
    "backend": CAPTURE,
}


def tracked() -> list[Path]:
    """Files of the repository as they would be committed."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def modules(folder: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / folder)]


def imports(path: Path) -> list[tuple[int, str]]:
    """(level, module) of every import statement, also of those inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_stay_on_their_side(folder: str) -> None:
    own = [inner for inner in ALLOWED if inner.startswith(f"{folder}/")]
    paths = [path for path in modules(folder) if not any(path.is_relative_to(ROOT / inner) for inner in own)]
    assert paths
    half = folder if folder == SHARED else folder.split("/")[0]
    for path in paths:
        for level, module in imports(path):
            top = module.split(".")[0]
            if level == 0:
                allowed = top in sys.stdlib_module_names or top in ALLOWED[folder]
            else:
                allowed = _inside(path, level, module, half)
            assert allowed, f"{path.relative_to(ROOT)} imports {'.' * level}{module}"


def _inside(path: Path, level: int, module: str, half: str) -> bool:
    """Whether a relative import ends in the module's own half, or in what both halves share."""
    target = path.parents[level - 1].joinpath(*module.split("."))
    return any(target.is_relative_to(ROOT / part) for part in (half, SHARED))


def test_the_extension_is_entered_through_two_functions() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["register", "unregister"]


def test_the_version_is_written_only_in_the_manifest() -> None:
    version = tomllib.loads((ROOT / "blender_manifest.toml").read_text("utf-8"))["version"]
    written = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
    for path in tracked():
        if path.suffix in (".py", ".toml", ".md", ".json") and path.name != "blender_manifest.toml":
            assert not written.search(path.read_text("utf-8")), f"{path.relative_to(ROOT)} repeats the version"


def test_nothing_of_one_machine_is_in_the_repository() -> None:
    machine = re.compile(r"(?<![\w.])/(?:work|root|farm|home/\w|opt/\w|tmp/\w)|[A-Z]:\\\\?Users\\\\?\w")
    registry = re.compile(
        r"https?://(?:[\w.-]*\.)?(?:pypi|pythonhosted|anaconda|npmjs|download\.pytorch|download\.blender)"
    )
    for path in tracked():
        if path == Path(__file__):
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture or weights
        for pattern in (machine, registry):
            found = pattern.search(text)
            assert found is None, f"{path.relative_to(ROOT)} names {found and found[0]!r}"


def test_files_are_small_enough_to_read_and_to_clone() -> None:
    for path in tracked():
        if path.suffix == ".py" and path.parent.name != "translations":  # tables grow with what there is to say
            assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES, path
        assert path.stat().st_size < (12_000_000 if path.suffix == ".safetensors" else 5_000_000), path


def test_models_and_clips_are_not_committed() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in tracked()]
    assert not [name for name in names if name.endswith((".tflite", ".mp4", ".avi", ".mov", ".task"))]


def test_the_troubleshooting_page_explains_every_error(root: Path) -> None:
    page = (root / "docs" / "troubleshooting.md").read_text("utf-8")
    for code, (_, advice) in CODES.items():
        assert f"### {code}\n{advice}\n" in page, "run packaging/error_table.py"


def test_readme_names_only_commands_and_files_that_exist(root: Path) -> None:
    readme = (root / "README.md").read_text("utf-8")
    developer = (root / "packaging" / "dev.py").read_text("utf-8")
    for command in re.findall(r"packaging/dev\.py ([\w-]+)", readme):
        assert f'"{command}"' in developer, command
    capture = subprocess.run(
        [sys.executable, "-m", "backend", "capture", "--help"], cwd=root, capture_output=True, text=True, check=True
    )
    for line in re.findall(r"python -m backend capture .*", readme):
        for option in re.findall(r"--[a-z]+", line):
            assert option in capture.stdout, option
    for target in re.findall(r"\]\(([^)#:]+)\)", readme) + re.findall(
        r"`((?:backend|mocap_addon|packaging)/[\w/.]+)`", readme
    ):
        assert (root / target).exists(), target
