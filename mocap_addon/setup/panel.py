"""What the sidebar and the preferences show of the set-up and of the doctor."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import bpy

from ...backend.core.errors import MocapError
from .. import doctor, environment, files, preferences
from ..text import wrapped
from ..translations import tr
from . import groups, operators, plan

SOURCE = "PyPI, the Python Package Index"


def draw(layout: bpy.types.UILayout) -> bool:
    """What the sidebar has to say before a capture; -> whether one can be made."""
    if operators.running:
        draw_running(layout.box(), operators.running)
        return False
    if obstacle := preferences.backend_obstacle():
        _draw_first_run(layout, obstacle)
        return False
    folder = files.user_folder()
    if environment.is_managed(preferences.get().python, folder) and plan.state(folder) == "OUTDATED":
        box = layout.box()
        wrapped(box.column(align=True), "This version of the extension wants newer packages for the capture.", "INFO")
        _draw_consent(box, "Update")
        draw_error(box)
    if wrong := [finding for finding in doctor.findings() if not finding.fine]:
        box = layout.box()
        wrapped(box.column(align=True), wrong[0].said, "ERROR")
        row = box.row(align=True)
        if wrong[0].fix:
            row.operator(wrong[0].fix, text=wrong[0].button)
        row.operator(
            "video_mocap.preferences", text=tr("Doctor ({count})", count=len(wrong)) if len(wrong) > 1 else "Doctor"
        )
    return True


def _draw_first_run(layout: bpy.types.UILayout, obstacle: MocapError) -> None:
    """The one step that is left to do."""
    prefs, folder = preferences.get(), files.user_folder()
    if not environment.is_managed(prefs.python, folder):  # the user has named a Python: theirs is to be put right
        box = layout.box()
        wrapped(box.column(align=True), obstacle.what, "ERROR")
        box.operator("video_mocap.preferences", icon="PREFERENCES")
        return
    box = layout.box()
    about = box.column(align=True)
    if plan.state(folder) == "BROKEN":
        wrapped(about, "The Python that the capture was set up with has gone. Set it up again.", "ERROR")
    wrapped(
        about,
        "The capture needs packages of its own. They stay apart from Blender's Python. "
        "Once set up, no network is needed.",
        "INFO",
    )
    draw_facts(box, folder)
    _draw_consent(box, "Continue set-up" if plan.fetched(folder) else "Set up capture")
    row = box.row(align=True)
    row.operator("video_mocap.set_up_offline", text="From folder ...", icon="FILE_FOLDER")
    row.operator("video_mocap.preferences", text="Own Python ...", icon="PREFERENCES")
    draw_error(box)


def draw_facts(layout: bpy.types.UILayout, folder: Path) -> None:
    """What is fetched, how large it is, where from and where to, and under which licences."""
    packages = _packages()
    size, here = sum(package.download for package in packages), plan.fetched(folder)
    facts = layout.column(align=True)
    fetched = tr(
        "Fetches {count} packages, about {size:.0f} MB, from {source}.",
        count=len(packages),
        size=size / 1e6,
        source=tr(SOURCE),
    )
    kept = " " + tr("{here:.0f} MB of it are here.", here=here / 1e6) if here else ""
    wrapped(facts, fetched + kept, "IMPORT")
    installed = sum(package.installed for package in packages)
    placed = tr("Puts them into {folder}, about {size:.0f} MB.", folder=plan.environment(folder), size=installed / 1e6)
    wrapped(facts, placed, "FOLDER_REDIRECT")
    header, body = layout.panel("video_mocap_packages", default_closed=True)
    header.label(text="Packages and their licences")
    if body:
        for package in packages:
            row = body.row()
            row.label(text=f"{package.name} {package.version}")
            row.label(text=package.licence)


@cache
def _packages() -> list[plan.Requirement]:
    return plan.read(plan.LOCK)


def _draw_consent(layout: bpy.types.UILayout, text: str) -> None:
    """The button, and what stands in its way."""
    if not bpy.app.online_access:
        if getattr(bpy.app, "online_access_override", False):
            wrapped(layout.column(align=True), "Blender was started in offline mode.", "INTERNET_OFFLINE")
        else:
            wrapped(
                layout.column(align=True),
                "Blender is not allowed to use the network. Allow it for the set-up:",
                "INTERNET_OFFLINE",
            )
            layout.operator("extensions.userpref_allow_online", text="Allow online access", icon="CHECKMARK")
    button = layout.column()
    button.scale_y = 1.6
    button.operator("video_mocap.set_up", text=text, icon="IMPORT")


def draw_running(layout: bpy.types.UILayout, setup: operators.Setup) -> None:
    if setup.task == "add":
        layout.label(text=tr("Adding {name}", name=groups.GROUPS[setup.group].title), icon="SORTTIME")
    else:
        layout.label(text="Setting up capture" if setup.task == "install" else "Removing", icon="SORTTIME")
    layout.progress(factor=setup.share(), text=setup.text())
    if setup.detail:
        wrapped(layout.column(align=True), setup.detail, "BLANK1")
    layout.operator("video_mocap.set_up_cancel", icon="CANCEL")


def draw_error(layout: bpy.types.UILayout, of_group: bool = False) -> None:
    """Why the last set-up failed, or the last change of a group."""
    error = operators.last and operators.last.error
    if not error or bool(operators.last.group) != of_group:
        return
    column = layout.column(align=True)
    if error.code == "cancelled":
        wrapped(column, f"{tr('Cancelled.')} {tr(error.fix)}", "INFO")
        return
    wrapped(column, error.what, "ERROR")
    wrapped(column, f"{tr(error.fix)} [{error.code}]", "BLANK1")
    row = layout.row(align=True)
    row.operator("wm.path_open", text="Open log", icon="TEXT").filepath = str(operators.last.log)
    row.operator("video_mocap.copy_report", icon="COPYDOWN")
    layout.operator("video_mocap.help", icon="QUESTION").topic = error.code


def draw_preferences(layout: bpy.types.UILayout) -> None:
    """The doctor's page and the environment."""
    folder = files.user_folder()
    layout.separator()
    header, body = layout.panel("video_mocap_doctor")
    header.label(text="Doctor")
    if body:
        _draw_doctor(body)
    header, body = layout.panel("video_mocap_environment")
    header.label(text="Environment of the capture")
    if body and operators.running and not operators.running.group:
        draw_running(body.box(), operators.running)
    elif body:
        state = plan.state(folder)
        if state == "MISSING":
            draw_facts(body, folder)
        else:
            told = plan.stamp(folder)
            about = body.column(align=True)
            about.label(
                text=tr("Python {version}, {size:.0f} MB", version=told["python"], size=told["bytes"] / 1e6),
                icon="CHECKMARK",
            )
            wrapped(about, str(plan.environment(folder)), "BLANK1")
        _draw_consent(body, {"MISSING": "Set up capture", "OUTDATED": "Update"}.get(state, "Repair"))
        row = body.row(align=True)
        row.operator("video_mocap.set_up_offline", text="From folder ...", icon="FILE_FOLDER")
        if state != "MISSING" or plan.fetched(folder):
            row.operator("video_mocap.set_up_remove", icon="TRASH")
        draw_error(body)


def _draw_doctor(layout: bpy.types.UILayout) -> None:
    row = layout.row(align=True)
    row.operator("video_mocap.check", icon="CHECKMARK")
    row.operator("video_mocap.copy_report", icon="COPYDOWN")
    box = layout.box().column(align=True)
    if doctor.latest and doctor.latest.running:
        box.label(text="Checking the backend ...", icon="SORTTIME")
    for finding in doctor.findings():
        row = box.row()
        row.alert = not finding.fine
        wrapped(row.column(align=True), finding.said, finding.icon)
        if finding.fix:
            row.alert = False
            row.operator(finding.fix, text=finding.button)
