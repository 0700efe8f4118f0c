"""A take's actions: the captured one, the one that is cleaned, and what comes of it.

Raw is what was captured and is never written to. Base is what the settings start from: raw, or what was applied last.
Cleaned is computed from base whenever a setting changes. Only one of them moves the armature.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from ...backend.core import rotations
from ...backend.core.errors import MocapError
from ...backend.core.rotations import Array
from ...backend.core.take import read_take
from .. import compat, history, keys, takes
from ..retarget.model import SourceMotion
from ..retarget.sources import grounded
from ..translations import N_
from . import actions, world
from .properties import SETTINGS, VideoMocapCleaning, VideoMocapContact
from .recipe import INSTANT, Span, clean, to_contacts, to_spans

# Custom properties of a camera: turn and shift of the clip's world, all of it, and the part that was applied.
MOVED, APPLIED = "video_mocap_moved", "video_mocap_world"
NOWHERE = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SHARED = ("pivot", "facing", "lean_forward", "lean_left", "turn", "lift", "together")

_quiet = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Change settings without computing anything."""
    global _quiet
    _quiet += 1
    try:
        yield
    finally:
        _quiet -= 1


def note_change(part: VideoMocapCleaning | VideoMocapContact) -> bool:
    """A slider was moved: from now on the take waits to be computed anew; -> whether it does."""
    entry = None if _quiet else _owner(part.id_data, part)
    if entry is None or obstacle(entry) is not None:
        return False
    entry.cleaning.waits = True
    return True


def waiting() -> list[takes.VideoMocapTake]:
    """The takes that are not what their settings say yet."""
    return [entry for scene in bpy.data.scenes for entry in scene.video_mocap.takes if entry.cleaning.waits]


def finish() -> None:
    """Compute what waits, now: somebody needs it."""
    if not (entries := waiting()):
        return
    for entry in entries:
        entry.cleaning.waits = False
        if obstacle(entry) is None:
            update(entry.id_data, entry)
    history.push("Clean take")


def show_changed(settings: VideoMocapCleaning) -> None:
    """The choice between raw and cleaned was changed."""
    entry, show = _owner(settings.id_data, settings), settings.show
    if not _quiet and entry is not None and obstacle(entry) is None and settings.raw:
        finish()
        with quiet():
            settings.show = show
        _assign(entry, settings.raw if show == "RAW" else settings.cleaned or settings.base)


def _owner(scene: bpy.types.Scene, part: VideoMocapCleaning | VideoMocapContact) -> takes.VideoMocapTake | None:
    """The take that the settings belong to; the path of a setting names it: video_mocap.takes[3].cleaning..."""
    inside = part.path_from_id().split("takes[")[1]
    index = int(inside.split("]")[0])
    return scene.video_mocap.takes[index] if index < len(scene.video_mocap.takes) else None


def rate_of(part: VideoMocapCleaning | VideoMocapContact) -> float:
    """Frames a second that the keys of the take were put for."""
    return takes.rate(_owner(part.id_data, part))


def obstacle(entry: takes.VideoMocapTake | None) -> str | None:
    """Why a take cannot be cleaned."""
    if entry is None:
        return N_("Choose a take first")
    if entry.state == "LIVE":
        return N_("The take is still being captured")
    if not takes.present(entry):
        return N_("The take's armature is not in the scene")
    if entry.armature.mode == "EDIT":
        return N_("Leave edit mode first")
    kept = entry.cleaning
    action = kept.base or kept.raw if kept.raw else takes.own_action(entry)
    if action is None or not actions.moves(entry.armature, action):
        return N_("The captured action is not on the take's armature")
    return None


def begin(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> None:
    """Remember the captured action and its contacts; nothing changes yet."""
    settings = entry.cleaning
    if settings.raw:
        settings.base = settings.base or settings.raw  # somebody may have deleted the applied one
        return
    settings.raw = settings.base = takes.own_action(entry)
    motion = actions.read(scene, entry.armature, settings.raw)
    spans = to_spans(motion.times, _contacts(entry, motion))
    settings.raw_contacts = settings.base_contacts = json.dumps(spans)
    with quiet():
        settings.set_spans(spans)
        settings.pivot = motion.pelvis[0] * [1.0, 1.0, 0.0]
        settings.facing = world.facing_at(motion, float(motion.times[0]))


def _contacts(entry: takes.VideoMocapTake, motion: SourceMotion) -> Array:
    """(T, 4) as the take file has them; found by height and speed where it cannot tell."""
    path = Path(bpy.path.abspath(entry.path)) if entry.path else None
    if path is not None and path.is_file():
        try:
            take = read_take(path, ("contacts",))
        except MocapError:
            take = None
        if take is not None and "contacts" in take and take["contacts"].shape == motion.contacts.shape:
            return take["contacts"]
    return grounded(motion).contacts


def base_motion(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> SourceMotion:
    """What the settings start from, with the contacts of the list."""
    motion = actions.read(scene, entry.armature, entry.cleaning.base)
    return replace(motion, contacts=to_contacts(motion.times, entry.cleaning.spans()))


def placed(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> SourceMotion:
    """The same, standing where the settings put it."""
    done = entry.cleaning.recipe()
    return world.stand(base_motion(scene, entry), np.array(done.pivot), done.facing, done.lean, done.turn, done.lift)


def shown_motion(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> SourceMotion | None:
    """The motion that the armature shows; None: what was captured, as it was, and the take file knows that better."""
    finish()
    if obstacle(entry):
        return None
    settings = entry.cleaning
    raw = settings.raw or takes.own_action(entry)
    action = raw if settings.show == "RAW" else settings.cleaned or settings.base or raw
    there = keys.read(compat.curves(action))
    if action == raw and not keys.changed_by_hand(raw, there):
        return None
    motion = actions.read(scene, entry.armature, action, there)
    contacts = _contacts(entry, motion) if action == raw else to_contacts(motion.times, settings.spans())
    return replace(motion, contacts=contacts)


# ---- writing


def update(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> bool:
    """Compute the cleaned action from the settings and show it; -> whether it was. Keys that were changed by hand are
    never overwritten, neither the take's own nor those of others who would go along: they have to be applied or
    dropped first."""
    begin(scene, entry)
    moved = _moved(scene, entry)
    computed = [entry, *moved]
    there = {each.key: keys.read(compat.curves(each.cleaning.cleaned)) for each in computed if each.cleaning.cleaned}
    by_hand = [
        each for each in computed if each.key in there and keys.changed_by_hand(each.cleaning.cleaned, there[each.key])
    ]
    entry.cleaning.waits = False
    if by_hand:
        for each in (entry, *by_hand):
            each.cleaning.edited = True
        return False
    _share(scene, entry, moved)
    for each in computed:
        each.cleaning.edited = each.cleaning.waits = False
        _clean(scene, each, there.get(each.key))
    return True


def _clean(scene: bpy.types.Scene, entry: takes.VideoMocapTake, there: keys.Keys | None) -> None:
    """there: the keys of the cleaned action, if there is one."""
    settings = entry.cleaning
    base = keys.read(compat.curves(settings.base, entry.armature))
    before = actions.read(scene, entry.armature, settings.base, base)
    before = replace(before, contacts=to_contacts(before.times, settings.kept_spans("base")))
    after = clean(before, settings.recipe())
    if after.local is before.local and after.pelvis is before.pelvis:
        _assign(entry, settings.base)
        _drop(settings, "cleaned")
    else:
        if there is None:
            settings.cleaned = settings.base.copy()
            settings.cleaned.use_fake_user = True
            there = dict(zip(compat.curves(settings.cleaned, entry.armature), base.values(), strict=True))
        settings.cleaned.name = f"{settings.raw.name} · cleaned"
        _assign(entry, settings.cleaned)
        repeat = settings.loop and settings.repeat
        now = actions.write(scene, entry.armature, settings.cleaned, there, base, after, repeat)
        keys.mark_written(settings.cleaned, now)
    with quiet():
        settings.show = "CLEANED"


def _assign(entry: takes.VideoMocapTake, action: bpy.types.Action) -> None:
    shown = takes.shown_action(entry)
    if shown and shown not in entry.cleaning.actions():
        shown.use_fake_user = True  # somebody's own: it would be lost with the file
    compat.assign(entry.armature, action)


def _drop(settings: VideoMocapCleaning, which: str) -> None:
    """Remove the base or cleaned action, unless it is one of the others as well."""
    action = getattr(settings, which)
    setattr(settings, which, None)
    if action and action not in settings.actions():
        bpy.data.actions.remove(action)


# ---- the clip's world


def _moved(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> list[takes.VideoMocapTake]:
    """The others of the clip whose floor, upright and facing are not yet those of the take."""
    others = [other for other in _others(scene, entry) if entry.cleaning.together]
    moved = [other for other in others if _shared(other) != _shared(entry)]
    for other in moved:
        begin(scene, other)
    return moved


def _others(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> list[takes.VideoMocapTake]:
    return [other for other in takes.of_world(scene, entry) if other.key != entry.key and not obstacle(other)]


def _shared(entry: takes.VideoMocapTake) -> list[object]:
    settings = entry.cleaning
    if not (settings.lean_forward or settings.lean_left or settings.turn or settings.lift):
        return [settings.together]  # then it does not matter about which point
    return [_plain(getattr(settings, name)) for name in SHARED]


def _share(scene: bpy.types.Scene, entry: takes.VideoMocapTake, moved: list[takes.VideoMocapTake]) -> None:
    """Floor, upright and facing for everyone of the clip whom that moves, and for its camera."""
    settings = entry.cleaning
    with quiet():
        for other in moved:
            for name in SHARED:
                setattr(other.cleaning, name, getattr(settings, name))
        if not settings.together:
            for other in _others(scene, entry):
                other.cleaning.together = False
    if entry.camera and settings.together:
        lean = (settings.lean_forward, settings.lean_left)
        turn, shift = world.turn_of(np.array(settings.pivot), settings.facing, lean, settings.turn, settings.lift)
        applied = np.array(entry.camera.get(APPLIED, NOWHERE))
        shift = rotations.rotate(turn, applied[4:]) + shift
        _move_camera(entry.camera, rotations.multiply(turn, applied[:4]), shift)


def _plain(value: object) -> object:
    return tuple(value) if hasattr(value, "__len__") else value


def world_moved(view: bpy.types.Object | None) -> bool:
    """Whether the clip's world was turned or moved, as its camera remembers."""
    return view is not None and tuple(view.get(MOVED, NOWHERE)) != NOWHERE


def _move_camera(view: bpy.types.Object, turn: Array, shift: Array) -> None:
    """Turn (4,) and shift (3,) of the clip's world. Beside the camera's own place, where that stands; where it travels
    its keys have to move: turned paths lie elsewhere at every moment."""
    before = np.array(view.get(MOVED, NOWHERE))
    action = view.animation_data.action if view.animation_data else None
    path = [curve for curve in compat.curves(action, view) if curve.data_path == "location"] if action else []
    if len(path) == 3 and len({len(curve.keyframe_points) for curve in path}) == 1:
        path.sort(key=lambda curve: curve.array_index)
        frames, places = np.moveaxis(np.stack([keys.of(curve) for curve in path], axis=-1), 1, 0)
        own = rotations.rotate(rotations.inverse(before[:4]), places - before[4:])
        for curve, when, moved in zip(path, frames.T, (rotations.rotate(turn, own) + shift).T, strict=True):
            keys.rewrite(curve, when, moved)
        view.delta_location = (0.0, 0.0, 0.0)
    else:
        place = np.array(view.location)
        view.delta_location = rotations.rotate(turn, place) + shift - place
    view.delta_rotation_quaternion = turn
    view[MOVED] = [*map(float, turn), *map(float, shift)]
    view.update_tag()


# ---- the end of it


def apply(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> None:
    """What is shown becomes what later cleaning starts from, with keys that were changed by hand. Raw is kept.

    Where everyone of the clip shares one world, it is applied to all of them.
    """
    finish()
    together = [other for other in takes.of_world(scene, entry) if other.cleaning.raw]
    for each in together if entry.cleaning.together else [entry]:
        if obstacle(each) is None:
            _apply(scene, each)
    view = entry.camera
    if view and entry.cleaning.together and MOVED in view:
        view[APPLIED] = list(view[MOVED])


def _apply(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> None:
    settings = entry.cleaning
    if settings.cleaned:
        old, settings.base, settings.cleaned = settings.base, settings.cleaned, None
        if old not in settings.actions():
            bpy.data.actions.remove(old)
        if keys.WRITTEN in settings.base:
            del settings.base[keys.WRITTEN]
    settings.base_contacts = json.dumps(settings.spans())
    _neutral(settings)
    motion = actions.read(scene, entry.armature, settings.base)
    settings.pivot = motion.pelvis[0] * [1.0, 1.0, 0.0]
    settings.facing = world.facing_at(motion, float(motion.times[0]))
    _assign(entry, settings.base)


def discard_edits(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> None:
    """Give up keys that were changed by hand, by whomever, and go back to what the settings say."""
    for each in (entry, *_moved(scene, entry)):
        if each.cleaning.cleaned:
            keys.mark_written(each.cleaning.cleaned)
    update(scene, entry)


def back_to_raw(scene: bpy.types.Scene, entry: takes.VideoMocapTake) -> None:
    """The captured action again, and no cleaning at all; the others of the clip and its camera keep theirs."""
    settings = entry.cleaning
    begin(scene, entry)
    _assign(entry, settings.raw)
    _drop(settings, "cleaned")
    base, settings.base = settings.base, settings.raw
    if base and base != settings.raw:
        bpy.data.actions.remove(base)
    settings.base_contacts = settings.raw_contacts
    _neutral(settings)
    with quiet():
        settings.set_spans(settings.kept_spans("raw"))
    others = takes.of_world(scene, entry)
    if entry.camera and all(
        other.cleaning.base == other.cleaning.raw and not other.cleaning.cleaned for other in others
    ):
        _move_camera(entry.camera, rotations.IDENTITY, np.zeros(3))
        for name in (MOVED, APPLIED):
            if name in entry.camera:
                del entry.camera[name]


def forget(entry: takes.VideoMocapTake) -> None:
    """The take gets a new captured action: what was made of the old one goes."""
    settings = entry.cleaning
    raw, gone = settings.raw, [action for action in settings.actions() if action != settings.raw]
    settings.raw = settings.base = settings.cleaned = None
    settings.raw_contacts = settings.base_contacts = ""
    settings.contacts.clear()
    _neutral(settings)
    if raw and entry.armature:
        _assign(entry, raw)
    bpy.data.batch_remove(gone)


def _neutral(settings: VideoMocapCleaning) -> None:
    with quiet():
        settings.edited = settings.waits = False
        settings.show = "CLEANED"
        for name in SETTINGS:
            settings.property_unset(name)


def spans_moved(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Spans in the order of their beginnings; those of one contact that touch become one."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.track, s.start)):
        if out and out[-1].track == span.track and span.start <= out[-1].end + INSTANT:
            out[-1] = out[-1]._replace(end=max(out[-1].end, span.end))
        else:
            out.append(span)
    return tuple(sorted(out, key=lambda s: (s.start, s.track)))
