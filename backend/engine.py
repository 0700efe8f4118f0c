"""What an engine is: one implementation of a stage, and everything that it needs. `engines.py` names them all."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import embedded
from . import networks as motion_networks
from .core.errors import MocapError
from .job import Job
from .look import Field, Looker
from .models.catalogue import MODELS
from .models.library import Library


@dataclass(frozen=True)
class Engine:
    """One implementation of a stage.

    make: builds it for a job. It needs: packages, by import name, and group, the dependency group that brings them;
    models: files among the embedded ones; networks: our own; published: files of `models.catalogue`, also: such that it
    uses where they are there; memory: about how much, in words. look: builds the network that looks at people's
    pictures for it, which writes `fields` into every record.
    """

    what: str
    licence: str
    make: Callable[[Job], Any]
    packages: tuple[str, ...] = ()
    group: str = ""
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    memory: str = ""
    look: Callable[[Job], Looker] | None = None
    fields: tuple[Field, ...] = ()

    def obstacle(self) -> MocapError | None:
        """Why it cannot run here; None when it can."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                how = (
                    f"Add the group `{self.group}` in the add-on's preferences, Packages for published models; to an "
                    "environment of your own as the README says."
                    if self.group
                    else ""
                )
                return MocapError("package-missing", f"The Python package {package} is not installed.", how)
        try:
            for model in self.models:
                embedded.model_path(model)
            for network in self.networks:
                motion_networks.model_path(network)
            for name in self.published:
                Library().find(name)
        except MocapError as error:
            return error
        return None

    def describe(self) -> dict[str, Any]:
        """Licence and checksums of what it runs, for a take."""
        library = Library()
        used = (*self.published, *(name for name in self.also if library.extra(name)))
        added = {name: library.added[name].sha256 for name in used}
        ours = {name: motion_networks.checksum(name) for name in self.networks}
        return {
            "licence": self.licence,
            "models": {**{model: embedded.MODELS[model] for model in self.models}, **ours, **added},
            "commercial_use": all(MODELS[name].commercial for name in used),
        }

    def warnings(self) -> list[tuple[str, str]]:
        """Codes and words: what the user has added for it, and it does without, since the file is not what it was."""
        library = Library()
        added = [name for name in self.also if name in library.added and name in library.visible()]
        unused = {name: library.added[name].file for name in added if library.extra(name) is None}
        return [
            ("model-missing", f"{MODELS[name].title}: {file} is gone or has changed, and is not used.")
            for name, file in unused.items()
        ]
