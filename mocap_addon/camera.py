"""The solved camera in the scene, with the clip behind the character."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import bpy
import numpy as np

from ..backend.core import rotations
from ..backend.core.rotations import Array
from ..backend.core.take import Take
from . import compat, keys, paths

SENSOR = 36.0  # millimetres, the width of full frame
CLIP = ("image_size", "fps", "focal", "center", "timestamps", "provenance")  # what tells about a take's clip
RATE = "video_mocap_rate"  # custom property of an action: frames a second of the scene when its keys were put


def scene_rate(scene: bpy.types.Scene) -> float:
    """Frames a second of the scene."""
    return scene.render.fps / scene.render.fps_base


def rate_of(scene: bpy.types.Scene, action: bpy.types.Action) -> float:
    """Frames a second that an action's keys were put for; the scene's may have been changed since."""
    return float(action.get(RATE, scene_rate(scene)))


def path_of(take: Take) -> tuple[Array, Array]:
    """Where the clip's camera stands and looks: positions (T, 3) and sign-continuous quaternions (T, 4), for Blender's
    camera axes (x right, y up, looking along -z)."""
    back = np.swapaxes(take["R"], -1, -2).astype(float)
    turns = rotations.from_matrix(back @ np.diag([1.0, -1.0, -1.0]))
    return -np.einsum("tij,tj->ti", back, take["t"]), rotations.continuous(turns)


def build(
    scene: bpy.types.Scene,
    name: str,
    take: Take,
    path: tuple[Array, Array],
    clip: Path,
    collection: bpy.types.Collection,
) -> bpy.types.Object:
    """A camera that sees the scene as the clip's camera did; it becomes the scene's camera if there is none.

    path: see `path_of`. A camera that stands still gets no keys.
    """
    data = bpy.data.cameras.new(name)
    camera = bpy.data.objects.new(name, data)
    collection.objects.link(camera)
    camera.rotation_mode = "QUATERNION"
    positions, turns = path
    camera.location, camera.rotation_quaternion = positions[0], turns[0]
    if max(np.ptp(turns, axis=0).max(), np.ptp(positions, axis=0).max()) > 1e-6:
        frames = 1.0 + take.times * scene_rate(scene)
        action = bpy.data.actions.new(camera.name)
        action[RATE] = scene_rate(scene)
        owner = compat.curve_owner(action, camera)
        keys.write(owner, "location", frames, positions)
        keys.write(owner, "rotation_quaternion", frames, turns)
    _set_lens(scene, data, take)
    if clip.is_file():
        show_clip(scene, data, take, clip)
    if scene.camera is None:
        scene.camera = camera
    return camera


def _set_lens(scene: bpy.types.Scene, data: bpy.types.Camera, take: Take) -> None:
    """Focal length and centre. The side of the frame that the clip fills is the one that is held."""
    width, height = (float(side) for side in take["image_size"])
    render = scene.render
    frame_aspect = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    wide = width / height >= frame_aspect
    data.sensor_fit = "HORIZONTAL" if wide else "VERTICAL"
    data.sensor_width = data.sensor_height = SENSOR
    side = width if wide else height
    data.lens = float(take["focal"]) / side * SENSOR
    center = take["center"] if "center" in take else (width / 2, height / 2)
    data.shift_x = (width / 2 - float(center[0])) / side
    data.shift_y = (float(center[1]) - height / 2) / side


def show_clip(scene: bpy.types.Scene, data: bpy.types.Camera, take: Take, clip: Path) -> None:
    """Put the clip behind what the camera sees, in step with the take."""
    image = bpy.data.images.load(paths.stored(clip), check_existing=True)
    background = data.background_images.new()
    background.source = "IMAGE"
    background.image = image
    background.frame_method = "FIT"
    background.alpha = 0.8
    background.image_user.frame_start = 1
    background.image_user.use_auto_refresh = True
    data.show_background_images = True
    _set_upright(scene, background, take)
    keep_in_step(scene, data, take)


def follow_clip(data: bpy.types.Camera, old: Path, new: Path) -> None:
    """Show the clip from where it is now, also when it could not be shown at all."""
    for background in data.background_images:
        if background.image and Path(bpy.path.abspath(background.image.filepath)) == old:
            background.image.filepath = paths.stored(new)
            background.image.reload()


def _set_upright(scene: bpy.types.Scene, background: bpy.types.CameraBackgroundImage, take: Take) -> None:
    """Show the clip's picture as it is meant to be seen. Blender knows neither oblong pixels nor mirrored pictures, and
    older ones show it as it lies in the file."""
    degrees, lying = _turn_of(take)
    video, turned = take.provenance.get("video", {}), compat.movies_are_upright()
    aspect, mirrored = float(video.get("pixel_aspect", 1.0)), bool(video.get("mirrored", False))
    background.image.display_aspect = (1.0, aspect) if lying and turned else (aspect, 1.0)
    if turned:  # by where the x axis goes, which is the wrong way where left and right are exchanged
        background.use_flip_x, background.use_flip_y = mirrored and lying, mirrored and not lying
    else:
        background.use_flip_x, background.rotation = mirrored, math.radians(degrees)
        _fit_lying(scene, background, take)


def _fit_lying(scene: bpy.types.Scene, background: bpy.types.CameraBackgroundImage, take: Take) -> None:
    """Undo the fitting of the wrong side of a picture that is turned here."""
    if _turn_of(take)[1] and not compat.movies_are_upright():
        width, height = (float(side) for side in take["image_size"])
        render = scene.render
        aspect = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
        lying, upright = min(aspect, height / width), min(aspect, width / height)
        # FIT made the lying picture `lying` high-units wide; turned, its height must be that of the upright fit.
        background.scale = (upright / (width / height)) / lying


def _turn_of(take: Take) -> tuple[int, bool]:
    """Degrees clockwise that the clip's picture is turned to stand upright, and whether it lies before that."""
    degrees = int(take.provenance.get("video", {}).get("rotation", 0)) % 360
    return degrees, degrees in (90, 270)


def keep_in_step(scene: bpy.types.Scene, data: bpy.types.Camera, take: Take) -> None:
    """Let the clip run by time when its frame rate is not the scene's.

    Blender shows clip frame `min(scene frame, length) + offset`, counting clip frames evenly at the rate that FFmpeg
    guesses. So the offset grows evenly while the clip lasts: a curve of two keys.
    """
    # As long as the clip. Asking Blender would open the film, and hold everything up while it does.
    video = take.provenance.get("video", {})
    rate, own = float(video.get("guessed_rate") or take["fps"]), scene_rate(scene)
    duration = float(video.get("duration") or (take.times[-1] + 1.0 / rate if "timestamps" in take else 0.0))
    user = data.background_images[0].image_user
    user.frame_duration = max(1, round(duration * rate), math.ceil(duration * own) + 1)
    path = "background_images[0].image_user.frame_offset"
    action = data.animation_data.action if data.animation_data else None
    curve = next((curve for curve in compat.curves(action) if curve.data_path == path), None) if action else None
    drift = duration * (rate - own)
    if abs(drift) < 0.5:
        if curve:
            compat.curve_owner(action, data).fcurves.remove(curve)
            if not compat.curves(action):
                bpy.data.actions.remove(action)
        user.frame_offset = 0
        return
    # The value is cut to a whole number, towards zero: half a frame more makes that the nearest one.
    frames, offsets = 1.0 + np.array([0.0, duration * own]), np.array([0.0, drift]) + math.copysign(0.5, drift)
    if curve:
        keys.rewrite(curve, frames, offsets)
        curve.extrapolation = "CONSTANT"  # earlier versions had it go on
        return
    owner = compat.curve_owner(action or bpy.data.actions.new(f"{data.name} clip"), data)
    keys.write(owner, path, frames, offsets[:, None])


def match_scene(
    scene: bpy.types.Scene, take: Take, cameras: Mapping[bpy.types.Camera, Take], actions: Iterable[bpy.types.Action]
) -> None:
    """Resolution and frame rate of a take's clip for the scene.

    cameras: of all clips in the scene, with a take of each; what they show stays in step. actions: keep their time,
    also where the scene's rate was changed by hand since they were keyed."""
    keyed = {action: rate_of(scene, action) for action in actions}
    rate = float(take["fps"])
    scene.render.fps = max(1, round(rate))
    scene.render.fps_base = scene.render.fps / rate
    scene.render.resolution_x, scene.render.resolution_y = (int(side) for side in take["image_size"])
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0
    for action, own in keyed.items():
        if not math.isclose(own, scene_rate(scene), rel_tol=1e-7):  # moving keys takes long
            keys.retime(action, scene_rate(scene) / own)
        action[RATE] = scene_rate(scene)
    for data, own in cameras.items():
        _set_lens(scene, data, own)
        if data.background_images:
            keep_in_step(scene, data, own)
            _fit_lying(scene, data.background_images[0], own)
