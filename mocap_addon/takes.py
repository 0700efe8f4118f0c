"""Takes in a scene: the list in the sidebar, and the armature, action and camera that belong to each.

Nothing here keeps a Blender object between two calls: undo replaces all of them. A take is found again by its key.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np

from ..backend.core.errors import MocapError
from ..backend.core.rotations import Array
from ..backend.core.skeleton import JOINTS, Skeleton
from ..backend.core.take import Take, read_take
from . import armature as rig
from . import camera, compat, doubt, keys, paths
from .body.fit import Surface
from .cleaning.properties import VideoMocapCleaning

LOOKS = (
    ("NONE", "Bones", "Bones only"),
    ("NEUTRAL", "Body", "A neutral body with the person's bone lengths"),
    ("SMPLX", "SMPL-X", "Your own SMPL-X body, from the model file that the preferences name"),
)
STATES = (
    ("LIVE", "Capturing", "The capture is still running"),
    ("DONE", "Complete", "The whole range has been captured"),
    ("PARTIAL", "Partial", "The capture was ended before it was complete"),
)
ICONS = {"LIVE": "REC", "DONE": "ARMATURE_DATA", "PARTIAL": "ERROR"}
PROVENANCE = "video_mocap_provenance"
BUDGET = 0.008  # seconds of Blender's time that writing keys may take in one step


def _renamed(entry: "VideoMocapTake", context: bpy.types.Context) -> None:
    body = entry.armature
    if body is None or body.name == entry.name:
        return
    markers = doubt.marked(entry.id_data, body.name)
    body.name = entry.name
    name = body.data.name = body.name  # another one, where something has that name already
    for marker in markers:
        marker.name = doubt.marker_name(name, marker.name.split(" · ")[0])
    for kept in actions(entry):
        cleaned = entry.cleaning.raw and kept != entry.cleaning.raw
        kept.name = f"{name} · cleaned" if cleaned else name
    entry.name = name


def _look_changed(entry: "VideoMocapTake", context: bpy.types.Context) -> None:
    entry.note = ""
    _dress(entry)


def _dress(entry: "VideoMocapTake", ready: Surface | None = None) -> None:
    from .body import stage  # which itself needs takes

    try:
        stage.dress(entry, ready)
    except MocapError as error:
        entry.note = str(error)


def _shown(entry: "VideoMocapTake") -> bool:
    return present(entry) and not entry.armature.hide_viewport


def _show(entry: "VideoMocapTake", shown: bool) -> None:
    for each in (entry.armature, entry.worn):
        if each:
            each.hide_viewport = not shown


class VideoMocapTake(bpy.types.PropertyGroup):
    """One captured person."""

    visible: bpy.props.BoolProperty(
        name="Visible", description="Show the take's armature and body in the viewports", get=_shown, set=_show
    )
    name: bpy.props.StringProperty(name="Name", description="Name of the take and its armature", update=_renamed)
    key: bpy.props.StringProperty(description="Capture and person that the take comes from")
    state: bpy.props.EnumProperty(name="State", description="How far the capture got", items=STATES)
    note: bpy.props.StringProperty(name="Note", description="What is to be known about the take")
    path: bpy.props.StringProperty(
        name="Take file",
        description="The take on disk, AMASS SMPL-X",
        subtype="FILE_PATH",
        options=compat.RELATIVE_PATH,
    )
    clip: bpy.props.StringProperty(
        name="Video", description="The captured video", subtype="FILE_PATH", options=compat.RELATIVE_PATH
    )
    track: bpy.props.IntProperty(name="Person", description="Number of the person in the video")
    shot: bpy.props.IntProperty(name="Shot", description="Number of the shot in the video, which may be cut")
    armature: bpy.props.PointerProperty(name="Armature", description="The captured person", type=bpy.types.Object)
    camera: bpy.props.PointerProperty(name="Camera", description="The clip's camera", type=bpy.types.Object)
    collection: bpy.props.PointerProperty(
        name="Collection", description="Everything captured from the clip", type=bpy.types.Collection
    )
    cleaning: bpy.props.PointerProperty(type=VideoMocapCleaning)
    look: bpy.props.EnumProperty(
        name="Look", description="What the take wears", items=LOOKS, default="NEUTRAL", update=_look_changed
    )
    worn: bpy.props.PointerProperty(name="Body", description="The body that the take wears", type=bpy.types.Object)


def take_key(capture: str, track: int) -> str:
    """The key of a person's take. capture: the capture's own key."""
    return f"{capture}:{track}"


def find(scene: bpy.types.Scene, key: str) -> VideoMocapTake | None:
    """The take with that key."""
    return next((entry for entry in scene.video_mocap.takes if entry.key == key), None)


def of_capture(scene: bpy.types.Scene, capture: str) -> list[VideoMocapTake]:
    """All takes of one capture."""
    return [entry for entry in scene.video_mocap.takes if entry.key.startswith(capture + ":")]


def of_world(scene: bpy.types.Scene, entry: VideoMocapTake) -> list[VideoMocapTake]:
    """All takes that share a take's world and camera: those of the same shot of one capture."""
    return [other for other in of_capture(scene, entry.key.partition(":")[0]) if other.shot == entry.shot]


def present(entry: VideoMocapTake) -> bool:
    """Whether the take's armature is in its scene: one that the user deleted is only kept by our pointer, and a scene
    that was made with the settings of another one only lists that one's takes."""
    return entry.armature is not None and entry.id_data in entry.armature.users_scene


def has_camera(entry: VideoMocapTake) -> bool:
    """Whether the take's camera is in its scene."""
    return entry.camera is not None and entry.id_data in entry.camera.users_scene


def elsewhere(scene: bpy.types.Scene) -> list[VideoMocapTake]:
    """The takes of the other scenes: a copied scene's share with them what was not copied."""
    others = [entry for other in bpy.data.scenes if other != scene for entry in other.video_mocap.takes]
    return [entry for entry in others if present(entry)]


def shown_action(entry: VideoMocapTake) -> bpy.types.Action | None:
    """The action that is on the armature."""
    animation = entry.armature.animation_data if entry.armature else None
    return animation.action if animation else None


def own_action(entry: VideoMocapTake) -> bpy.types.Action | None:
    """The action that was captured, if it is still on the armature."""
    action = shown_action(entry)
    return action if action and PROVENANCE in action else None


def actions(entry: VideoMocapTake) -> set[bpy.types.Action]:
    """All actions of a take: the one on its armature, and those that cleaning keeps."""
    return {action for action in (own_action(entry), *entry.cleaning.actions()) if action}


def rate(entry: VideoMocapTake) -> float:
    """Frames a second that the take's keys were put for."""
    scene = entry.id_data
    return next((camera.rate_of(scene, action) for action in actions(entry)), camera.scene_rate(scene))


def separate(entry: VideoMocapTake) -> None:
    """Give a take copies of the actions that it shares with the same take on another armature, of a copied scene."""
    settings = entry.cleaning
    others = [other for other in elsewhere(entry.id_data) if other.armature != entry.armature]
    for action in actions(entry) & {action for other in others for action in actions(other)}:
        copy = action.copy()
        copy.use_fake_user = True
        if shown_action(entry) == action:
            compat.assign(entry.armature, copy)
        for name in ("raw", "base", "cleaned"):
            if getattr(settings, name) == action:
                setattr(settings, name, copy)


def camera_actions(entries: Iterable[VideoMocapTake]) -> set[bpy.types.Action]:
    """What animates the takes' cameras and their lenses; takes of one clip share them."""
    seen_by = [entry.camera for entry in entries if has_camera(entry)]
    moving = [part.animation_data for camera in seen_by for part in (camera, camera.data)]
    return {animation.action for animation in moving if animation and animation.action}


def ensure(scene: bpy.types.Scene, capture: str, track: int, name: str, clip: Path, body: Skeleton) -> VideoMocapTake:
    """The take of a person with an armature in the scene; made when missing, also after the user undid its making."""
    key = take_key(capture, track)
    entry = find(scene, key)
    if entry is None:
        entry = scene.video_mocap.takes.add()
        entry.key, entry.track, entry.clip, entry.state = key, track, paths.stored(clip), "LIVE"
        entry.collection = next((other.collection for other in of_capture(scene, capture) if other.collection), None)
        entry.name = f"{clip.stem} · {name}"
        scene.video_mocap.active_take = len(scene.video_mocap.takes) - 1
    if entry.collection not in scene.collection.children_recursive:
        entry.collection = bpy.data.collections.new(clip.stem)
        scene.collection.children.link(entry.collection)
    if not present(entry):
        entry.armature = rig.build(entry.name, body, entry.collection)
        entry.name = entry.armature.name  # Blender's names are unique
    return entry


def _shows(scene: bpy.types.Scene, collection: bpy.types.Collection | None) -> bool:
    """Whether all view layers of the scene show a collection."""

    def shown(layer: bpy.types.LayerCollection) -> bool:
        return (layer.collection == collection and layer.is_visible) or any(map(shown, layer.children))

    return all(shown(view.layer_collection) for view in scene.view_layers)


def gather(scene: bpy.types.Scene, capture: str) -> None:
    """Put a capture's objects to what the clip had before: everything of one clip is in one collection, as long as that
    is shown: nobody is to miss what was just captured.

    Only right before an undo step is closed. Until then a capture has a collection of its own: undo keeps blocks that
    did not change between its steps, with whatever was linked into them since, and crashes on what has gone.
    """
    mine = of_capture(scene, capture)
    own = next((entry.collection for entry in mine if entry.collection), None)
    if own is None:
        return
    others = [entry.collection for entry in scene.video_mocap.takes if entry.clip == mine[0].clip]
    clip = next((collection for collection in others if collection != own and _shows(scene, collection)), None)
    if clip is None:
        return
    for body in list(own.objects):
        if body.name not in clip.objects:
            clip.objects.link(body)
        own.objects.unlink(body)
    for entry in mine:
        entry.collection = clip
    if not own.children:
        bpy.data.collections.remove(own)


class Motion(NamedTuple):
    """What is keyed: times (T,) seconds in the clip; turned (T, 55, 4) and root (T, 3) as `armature.to_bones` gives
    them; confidence (T, 55)."""

    times: Array
    turned: Array
    root: Array
    confidence: Array


def key_motion(
    look_up: Callable[[], tuple[bpy.types.Scene, VideoMocapTake] | None], motion: Motion, told: dict[str, object]
) -> Iterator[None]:
    """Write a take's keys by time, whatever the scene's frame rate is; some milliseconds at each step.

    look_up: scene and take, asked anew at every step, since undo replaces them; None when their file has been closed.
    told: where the motion comes from; kept as JSON on armature and action.
    """
    channels = keys.bone_channels(JOINTS, motion.turned, motion.root)
    sure = doubt.curves(motion.confidence)
    channels += [keys.Channel(doubt.path(name), values[:, None], "Confidence") for name, values in sure.items()]
    uid, written = 0, 0
    while written < len(channels):
        found = look_up()
        if found is None:
            return
        scene, entry = found
        action = next((action for action in bpy.data.actions if action.session_uid == uid), None)
        if action is None:  # at first, and after it was undone
            action, written = _new_action(entry), 0
            uid = action.session_uid
        owner = compat.curve_owner(action, entry.armature)
        frames = 1.0 + np.asarray(motion.times) * camera.rate_of(scene, action)
        until = time.perf_counter() + BUDGET
        while written < len(channels) and time.perf_counter() < until:
            made = keys.write(owner, channels[written].path, frames, channels[written].values, channels[written].group)
            action[keys.WRITTEN] = keys.checksum(made, action.get(keys.WRITTEN, ""))
            written += 1
        yield
    if found := look_up():
        scene, entry = found
        for owner in (entry.armature, entry.armature.animation_data.action):
            owner["video_mocap_take"] = entry.path
            owner[PROVENANCE] = json.dumps(told, ensure_ascii=False)
        scene.frame_end = max(scene.frame_end, int(np.ceil(frames[-1])))
    yield
    from .body import stage  # which itself needs takes

    ready = stage.measured(found[1]) if (found := look_up()) else None
    yield
    if found := look_up():
        _dress(found[1], ready)
    yield
    if ready and (found := look_up()):
        stage.weigh(found[1], ready)


def _new_action(entry: VideoMocapTake) -> bpy.types.Action:
    """An empty action for the take's armature; what an earlier capture of the same take had keyed is dropped."""
    from .cleaning import stage  # which itself needs takes

    stage.forget(entry)
    doubt.declare(entry.armature)
    if old := own_action(entry):
        bpy.data.actions.remove(old)
    action = bpy.data.actions.new(entry.name)
    action.use_fake_user = True
    action[camera.RATE] = camera.scene_rate(entry.id_data)
    return action


def add_camera(look_up: Callable[[], tuple[bpy.types.Scene, VideoMocapTake] | None], take: Take) -> Iterator[None]:
    """Give a take its camera: the one that another take of the shot has, or a new one. look_up: as above."""
    path = camera.path_of(take)
    yield
    if (found := look_up()) is None:
        return
    scene, entry = found
    entry.shot = int(take.provenance.get("shot", 0))
    others = of_world(scene, entry)
    shared = next((other.camera for other in others if has_camera(other)), None)
    clip = paths.absolute(entry.clip)
    name = f"{clip.stem} camera {entry.shot + 1}" if entry.shot else f"{clip.stem} camera"
    entry.camera = shared or camera.build(scene, name, take, path, clip, entry.collection)
    yield


def remove(scene: bpy.types.Scene, key: str, keep_armature: bool = False) -> None:
    """Take a take and what was made for it out of the .blend; the take on disk stays, and so does what a take of
    another scene has, too. keep_armature: with its keys."""
    index = next(i for i, entry in enumerate(scene.video_mocap.takes) if entry.key == key)
    entry = scene.video_mocap.takes[index]
    others = [other for other in of_capture(scene, key.partition(":")[0]) if other.key != key]
    strangers = elsewhere(scene)
    body, worn, view, collection = entry.armature, entry.worn, entry.camera, entry.collection
    keep_armature |= body is not None and any(other.armature == body for other in strangers)
    view_is_shared = keep_armature or any(other.camera == view for other in (*others, *strangers))
    doubt.unmark(scene, entry.name)
    body, worn, spare = (None, None, set()) if keep_armature else (body, worn, actions(entry))
    spare -= {action for other in strangers for action in actions(other)}
    for action in spare:
        action.use_fake_user = False
    scene.video_mocap.takes.remove(index)
    scene.video_mocap.active_take = max(0, min(scene.video_mocap.active_take, len(scene.video_mocap.takes) - 1))
    gone = [each for each in (worn, body) if each]
    if view and not view_is_shared:
        gone += [view, *(image.image for image in view.data.background_images if image.image)]
    for block in _with_data(gone):
        if block.users == 0 or isinstance(block, bpy.types.Object):
            bpy.data.batch_remove([block])
    bpy.data.batch_remove([action for action in bpy.data.actions if action in spare and not action.users])
    if collection and not others and not collection.all_objects and not collection.children:
        bpy.data.collections.remove(collection)


def relocate(scene: bpy.types.Scene, kind: str, old: Path, new: Path) -> None:
    """Follow a file that has moved, and whatever else is missing in its old folder and there in the new one.

    kind: "path" (takes) or "clip" (videos, also behind the cameras).
    """
    for entry in scene.video_mocap.takes:
        was = paths.absolute(getattr(entry, kind)) if getattr(entry, kind) else None
        if was is None or (was != old and (was.is_file() or was.parent != old.parent)):
            continue
        now = new if was == old else new.parent / was.name
        if not now.is_file():
            continue
        setattr(entry, kind, paths.stored(now))
        if kind != "clip" or not entry.camera:
            continue
        if entry.camera.data.background_images:
            camera.follow_clip(entry.camera.data, was, now)
        elif entry.path:
            with suppress(MocapError):  # the take's file is missing, too
                camera.show_clip(scene, entry.camera.data, read_take(paths.absolute(entry.path)), now)


def doubtful(scene: bpy.types.Scene, entry: VideoMocapTake) -> list[doubt.Span]:
    """Where the take is a guess, going by the curves of its actions; cleaning leaves them in the raw one."""
    told = (doubt.spans_of(action, entry.armature, camera.rate_of(scene, action)) for action in actions(entry))
    return next((spans for spans in told if spans), [])


def remove_live(scene: bpy.types.Scene, capture: str) -> None:
    """Take out what a capture showed while it ran and did not key."""
    for key in [entry.key for entry in of_capture(scene, capture) if entry.state == "LIVE"]:
        remove(scene, key)


def _with_data(blocks: list[bpy.types.ID]) -> list[bpy.types.ID]:
    """Objects first, then what only they used: their data and actions."""
    objects = [block for block in blocks if isinstance(block, bpy.types.Object)]
    rest = [block for block in blocks if not isinstance(block, bpy.types.Object)]
    data = [block.data for block in objects]
    actions = [
        block.animation_data.action
        for block in (*objects, *data)
        if block.animation_data and block.animation_data.action
    ]
    return [*objects, *data, *rest, *actions]


def select(context: bpy.types.Context, entry: VideoMocapTake) -> None:
    """Make the take's armature the selected and active object, where it can be seen."""
    layer = context.view_layer
    body = entry.armature
    if body is None or body.name not in layer.objects or context.mode != "OBJECT":
        return
    for other in list(layer.objects.selected):
        other.select_set(False, view_layer=layer)
    body.select_set(True, view_layer=layer)
    layer.objects.active = body
