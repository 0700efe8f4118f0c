"""Adding a group of packages to the environment, and taking it away. Standard library only; it runs in the worker."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path

from . import groups, plan
from .installation import Installation, digest, progress, remove
from .pip import Pip, SetupError, last_line
from .plan import Requirement
from .pythons import Python

# Runs in the environment's own Python, never in Blender's.
_LOOK = """
import importlib, importlib.util, sys
lacking = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
if lacking:
    sys.exit("no module " + ", ".join(lacking))
torch = importlib.import_module("torch")
assert float(torch.ones(2, 2).matmul(torch.ones(2, 2)).sum()) == 8.0
"""


class Addition(Installation):
    """One group, put beside the environment; neither that nor an older state of the group is touched until the end."""

    kept = "groups-"

    def run(self) -> None:
        """Raises SetupError, OSError."""
        progress("prepare")
        name, build = self.options.group, self.options.build
        self.python = plan.interpreter(plan.environment(self.folder))
        told = plan.stamp(self.folder)
        if not told or not self.python.is_file():
            raise SetupError("setup-failed", "The capture is not set up yet.", "Set up the capture first.")
        for needed in groups.GROUPS[name].needs:
            if groups.state(self.folder, needed) != "READY":
                title = groups.GROUPS[needed].title
                raise SetupError("setup-failed", f"{title} has to be there first.", f"Add {title}, then this.")
        remove(self.new)
        version = tuple(int(part) for part in str(told["python"]).split("."))
        requirements = groups.requirements(name, build, version)
        self._check_room(requirements)
        self.pip = Pip(self.options.pip, self.workshop, self.processes)
        wheels = self.options.wheels
        if not wheels:
            built = [each for each in requirements if not each.hashes]
            locked = [each for each in requirements if each.hashes]
            later = sum(each.download for each in built)
            wheels = self._download(locked, Python(self.python, version), later)
            self._download_built(built, wheels, sum(each.download for each in locked))
        requirements = [each if each.hashes else _pinned(each, wheels) for each in requirements]
        # A prefix: everything of the group, also what Python's environment happens to have, lies in one folder.
        self._install(requirements, wheels, "--ignore-installed", "--prefix", str(self.new))
        (site,) = plan.sites(self.new)
        self._try(site)
        self._stamp(lock=plan.digest(groups.lock(name)), python=told["python"], build=build)
        groups.place(self.folder, name).parent.mkdir(exist_ok=True)
        self._swap(groups.place(self.folder, name))
        groups.link(self.folder)

    def _download_built(self, packages: list[Requirement], wheels: Path, done: int) -> None:
        """Fetch builds that PyPI lacks: from where the user's own configuration of pip finds them, else from
        PyTorch's index, which `uv` knows. What is there is taken as it is. done: bytes that came before these."""
        total = done + sum(package.download for package in packages)
        for package in packages:
            before, done = done, done + package.download
            if _wheel(package, wheels):
                continue

            def on_bytes(now: int, package: Requirement = package, before: int = before) -> None:
                detail = f"{package.name} {package.version}"
                progress("download", before + min(now, package.download), total, detail)

            on_bytes(0)
            arguments = ("--no-deps", "--only-binary=:all:", "--dest", str(wheels))
            try:
                self.pip.run(self.python, "download", *arguments, package.text, on_bytes=on_bytes)
            except SetupError as error:
                if error.code != "setup-unsupported":
                    raise
                found = self.workshop / "built.txt"
                found.write_text(self._found(package), "utf-8")
                self.pip.run(self.python, "download", *arguments, "-r", str(found), on_bytes=on_bytes)

    def _found(self, package: Requirement) -> str:
        """Where PyTorch's index has a build for this computer, with its hash, as pip wants it. Raises SetupError."""
        wanted, answer = self.workshop / "torch.in", self.workshop / "pylock.torch.toml"
        wanted.write_text(package.text, "utf-8")
        backend = package.version.partition("+")[2]
        arguments = ("--no-deps", "--only-binary", ":all:", "--python", str(self.python), "--torch-backend", backend)
        status, said = self._uv("pip", "compile", "--quiet", *arguments, "-o", str(answer), str(wanted))
        if status:
            last = last_line(said, status)
            raise SetupError("setup-download", f"PyTorch's index does not answer: {last.rstrip('.')}.")
        for each in tomllib.loads(answer.read_text("utf-8"))["packages"]:
            for wheel in each.get("wheels", ()):  # those that fit this computer
                return f"{each['name']} @ {wheel['url']} --hash=sha256:{wheel['hashes']['sha256']}\n"
        raise SetupError("setup-unsupported", f"There is no ready-made {package.text} for this computer.")

    def _try(self, site: Path) -> None:
        """The group's modules are there, PyTorch computes, and the default chain still works beside them."""
        progress("check")
        group = groups.GROUPS[self.options.group]
        beside = [each for name in group.needs for each in plan.sites(groups.place(self.folder, name))]
        path = os.pathsep.join(map(str, (*beside, site)))
        command = [str(self.python), "-c", _LOOK, *group.modules]
        status, said = self.processes.run(command, {**os.environ, "PYTHONPATH": path})
        if status:
            last = last_line(said, status)
            raise SetupError("setup-failed", f"The packages are installed, but do not load: {last}")
        self._check(PYTHONPATH=path)


def drop(folder: Path, name: str) -> None:
    """Take a group away, and those that need it. Raises OSError."""
    gone = [name, *groups.dependents(name)]
    for each in gone:
        (groups.place(folder, each) / "stamp.json").unlink(missing_ok=True)
    groups.link(folder)  # first: a removal that is broken off leaves nothing half known
    for each in gone:
        remove(groups.place(folder, each))


def _wheel(package: Requirement, wheels: Path) -> Path | None:
    return next(iter(sorted(wheels.glob(f"{package.name}-{package.version}-*.whl"))), None)


def _pinned(package: Requirement, wheels: Path) -> Requirement:
    """With the hash of the wheel that is there. Raises SetupError setup-unsupported."""
    wheel = _wheel(package, wheels)
    if wheel is None:
        raise SetupError("setup-unsupported", f"There is no ready-made {package.text} for this computer.")
    found = digest(wheel)
    return replace(package, hashes=frozenset([found]), text=f"{package.text} --hash=sha256:{found}")
