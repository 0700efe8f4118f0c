"""The second choice, in the preferences: packages that only published models need."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import bpy

from .. import environment, files, preferences
from ..text import wrapped
from ..translations import tr
from . import groups, operators, panel, plan

WHAT = {
    "gpu": "For HMR2.0, GVHMR, the published FootMR, ViTPose, CamCalib and W-HMR",
    "yolo": "Stronger detection and tracking of people, through ultralytics. Its terms reach what you distribute "
    "with it",
    "rtmpose": "Whole-body keypoints, through mmpose",
}
REASONS = {
    "apple": "this is a Mac",
    "found": "there is a driver of NVIDIA",
    "none": "there is no driver of NVIDIA",
    "old": "the driver of NVIDIA is too old",
}


def draw(layout: bpy.types.UILayout) -> None:
    """What there is to add, and what is there."""
    header, body = layout.panel("video_mocap_groups", default_closed=True)
    header.label(text="Packages for published models")
    if not body:
        return
    prefs, folder = preferences.get(), files.user_folder()
    about = body.column(align=True)
    wrapped(about, "Only published models need these. The capture itself works without, and stays as it is.", "INFO")
    if not environment.is_managed(prefs.python, folder):
        wrapped(about, "A Python of your own runs the capture: install them there, as the README says.", "BLANK1")
        return
    if plan.state(folder) != "READY":
        wrapped(about, "Set up the capture first.", "BLANK1")
        return
    if operators.running and operators.running.group:
        panel.draw_running(body.box(), operators.running)
        return
    if len(groups.builds()) > 1:
        row = body.row()
        for name in ("AUTO", *(build.upper() for build in groups.builds())):
            row.prop_enum(prefs, "build", name)
        build, why = groups.detected()
        told = tr("Automatic is {build}: {why}.", build=tr(groups.BUILDS[build]), why=tr(REASONS[why]))
        wrapped(body.column(align=True), told, "BLANK1")
    for name in groups.GROUPS:
        _draw_group(body.box(), folder, name)
    panel.draw_error(body, of_group=True)


def _draw_group(layout: bpy.types.UILayout, folder: Path, name: str) -> None:
    group, state, told = groups.GROUPS[name], groups.state(folder, name), groups.stamp(folder, name)
    build = operators.build()
    layout.label(text=group.title, icon={"READY": "CHECKMARK", "OUTDATED": "ERROR"}.get(state, "DOT"))
    facts = layout.column(align=True)
    wrapped(facts, WHAT[name], "BLANK1")
    wrapped(facts, tr("Licence: {licence}", licence=group.licence), "BLANK1")
    if state == "READY":
        size, which = told["bytes"] / 1e6, tr(groups.BUILDS[told["build"]])
        wrapped(facts, tr("Installed, {size:.0f} MB, for {build}.", size=size, build=which), "BLANK1")
    else:
        wrapped(facts, _costs(name, build, str(plan.stamp(folder)["python"])), "IMPORT")
    if state == "OUTDATED":
        wrapped(facts, "What is there is of another version or for another Python.", "BLANK1")
    row = layout.row(align=True)
    lacking = [each for each in group.needs if groups.state(folder, each) != "READY"]
    if lacking:
        wrapped(facts, tr("Add {name} first.", name=groups.GROUPS[lacking[0]].title), "BLANK1")
    elif state != "READY" or told["build"] != build:
        text = {"OUTDATED": "Update", "READY": "Change the build"}.get(state, "Add")
        row.operator("video_mocap.group_add", text=text, icon="IMPORT").group = name
    if state != "MISSING":
        row.operator("video_mocap.group_drop", icon="TRASH").group = name


@cache
def _costs(name: str, build: str, python: str) -> str:
    packages = groups.requirements(name, build, tuple(int(part) for part in python.split(".")), sys.platform)
    down, installed = (sum(getattr(each, kind) for each in packages) / 1e6 for kind in ("download", "installed"))
    built = any(not each.hashes for each in packages)
    source = tr("PyPI and PyTorch's own index") if built else tr(panel.SOURCE)
    return tr(
        "Fetches {count} packages, about {size:.0f} MB, from {source}; they take about {installed:.0f} MB.",
        count=len(packages),
        size=down,
        source=source,
        installed=installed,
    )
