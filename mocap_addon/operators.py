"""The buttons."""

import math
import time
from contextlib import suppress
from pathlib import Path

import bpy
from bpy_extras.io_utils import ImportHelper

from ..backend.core.errors import MocapError
from ..backend.core.take import read_index, read_take
from . import camera, doctor, doubt, environment, files, paths, people, preferences, runner, takes
from .capture import Capture, Request, load_take
from .guarded import Guarded
from .retarget import actions as retarget_actions
from .setup import operators as setup
from .translations import tr

NEAR = 0.1  # seconds by which a picture may lie outside the range that it was taken from


def video_path(settings) -> Path:
    """The video of the scene's settings, absolute."""
    return paths.absolute(settings.video)


def _check_range(settings) -> None:
    """Raises MocapError range-outside when the end is not after the start, or somebody is picked outside of both."""
    start, end = settings.start, settings.end or math.inf
    if end <= start:
        raise MocapError("range-outside", f"The end ({end:g} s) is not after the start ({start:g} s).")
    if settings.people != "PICKED":
        return
    for pick in settings.picks:
        if not start - NEAR < pick.time < end + NEAR:
            raise MocapError(
                "range-outside",
                f"Somebody is picked at {pick.time:.2f} s, which start and end leave out.",
                "Choose a start and an end around it, or find the people again and pick them inside.",
            )


def new_capture(scene: bpy.types.Scene, video: Path | None = None) -> Capture:
    """A capture as the sidebar describes it; of another video: its whole length, and everyone where people were picked.

    Raises MocapError before anything is started or made.
    """
    settings, prefs = scene.video_mocap, preferences.get()
    if setup.running:
        raise MocapError("setup-busy", "The capture is being set up.")
    start, end, who = settings.start or None, settings.end or None, settings.people_choice()
    if video is not None:
        start, end, who = None, None, "all" if settings.people == "PICKED" else who
    elif not settings.video:
        raise MocapError("video-missing", "No video is chosen.")
    elif settings.people == "PICKED" and not settings.picks:
        raise MocapError("person-missing", "Nobody is picked.", "Find the people and pick some, or capture everyone.")
    else:
        _check_range(settings)
    video = video or video_path(settings)
    if not video.exists():
        raise MocapError("video-missing", f"There is no video at {video}.")
    python = environment.find(prefs.python, files.user_folder())
    folder = files.takes_folder(prefs.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MocapError("output-unwritable", f"{folder} cannot be made ({error.strerror}).") from error
    reserved = {waiting.request.output for waiting in runner.queue}
    request = Request(
        video=video,
        output=files.new_output(folder, video, reserved),
        start=start,
        end=end,
        people=who,
        fps=settings.rate(),
        device=prefs.device.lower(),
        engines=settings.engines(),
    )
    return Capture(python, request, scene)


class VIDEO_MOCAP_OT_video_choose(bpy.types.Operator, ImportHelper):
    """Choose the video to capture from"""

    bl_idname = "video_mocap.video_choose"
    bl_label = "Choose video ..."
    bl_options = {"REGISTER", "UNDO"}

    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.video_mocap.video = paths.stored(Path(self.filepath))
        return {"FINISHED"}


class VIDEO_MOCAP_OT_capture(Guarded, bpy.types.Operator):
    """Capture the people in the video; the keys appear on one armature each"""

    bl_idname = "video_mocap.capture"
    bl_label = "Capture from video"
    bl_options = {"REGISTER"}  # the capture pushes its own undo step when it ends

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = context.scene.video_mocap
        if not settings.video:
            cls.poll_message_set(tr("Choose a video first"))
        elif not video_path(settings).is_file():
            cls.poll_message_set(tr("The video file is missing"))
        elif settings.people == "PICKED" and not settings.picks:
            cls.poll_message_set(tr("Nobody is picked: find the people and pick some, or capture everyone"))
        elif obstacle := preferences.backend_obstacle():
            cls.poll_message_set(obstacle.what)
        else:
            return True
        return False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """In the window: the timer does the work."""
        try:
            runner.add(new_capture(context.scene))
        except MocapError as error:
            self.report({"ERROR"}, str(error))
            if error.exit_status == 5:  # the sidebar will say what is wrong with the set-up
                doctor.start(preferences.get().python, files.user_folder())
            return {"CANCELLED"}
        return {"FINISHED"}

    def work(self, context: bpy.types.Context) -> None:
        """For scripts: returns when the capture is done."""
        runner.run(new_capture(context.scene), self.report)


class VIDEO_MOCAP_OT_capture_many(Guarded, bpy.types.Operator, ImportHelper):
    """Many clips at once."""

    bl_idname = "video_mocap.capture_many"
    bl_label = "Queue clips ..."
    bl_description = (
        "Queue several clips, each from beginning to end with the people and quality chosen above. "
        "Every clip gets a collection of its own, and a failure does not stop the others"
    )
    bl_options = {"REGISTER"}

    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if obstacle := preferences.backend_obstacle():
            cls.poll_message_set(obstacle.what)
            return False
        return True

    def work(self, context: bpy.types.Context) -> set[str]:
        folder = Path(self.directory or Path(self.filepath).parent)
        clips = sorted(folder / each.name for each in self.files if each.name) or [Path(self.filepath)]
        failed = 0
        for path in clips:
            capture = new_capture(context.scene, path)
            try:
                runner.start(context, capture, lambda kind, text, path=path: self.report(kind, f"{path.name}: {text}"))
            except MocapError as error:
                failed += 1
                self.report({"WARNING"}, f"{path.name}: {error}")
        return {"CANCELLED"} if failed == len(clips) else {"FINISHED"}


class VIDEO_MOCAP_OT_people_find(Guarded, bpy.types.Operator):
    """Look at some pictures of the clip and show who is in them: takes seconds"""

    bl_idname = "video_mocap.people_find"
    bl_label = "Find people"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = context.scene.video_mocap
        if not settings.video or not video_path(settings).is_file():
            cls.poll_message_set(tr("Choose a video first"))
        elif obstacle := preferences.backend_obstacle():
            cls.poll_message_set(obstacle.what)
        else:
            return True
        return False

    def work(self, context: bpy.types.Context) -> None:
        settings = context.scene.video_mocap
        settings.picks.clear()
        python = environment.find(preferences.get().python, files.user_folder())
        span = settings.start or None, settings.end or None
        scan = people.start(python, video_path(settings), span, runner.redraw)
        if bpy.app.background or not context.window:
            while scan.step():
                time.sleep(0.02)


class VIDEO_MOCAP_OT_people_stop(bpy.types.Operator):
    """Stop looking for people"""

    bl_idname = "video_mocap.people_stop"
    bl_label = "Stop"

    def execute(self, context: bpy.types.Context) -> set[str]:
        if people.latest:
            people.latest.cancel()
        return {"FINISHED"}


class VIDEO_MOCAP_OT_people_turn(bpy.types.Operator):
    """Show another picture of the clip"""

    bl_idname = "video_mocap.people_turn"
    bl_label = "Another picture"

    by: bpy.props.IntProperty(name="By", description="How many pictures further", default=1)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if people.latest:
            people.latest.turn(self.by)
        return {"FINISHED"}


class VIDEO_MOCAP_OT_people_toggle(bpy.types.Operator):
    """Capture this person, or not"""

    bl_idname = "video_mocap.people_toggle"
    bl_label = "Pick person"
    bl_options = {"REGISTER", "UNDO"}

    person: bpy.props.IntProperty(name="Person", description="Number in the picture, from 0", min=0)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.video_mocap
        scan = people.of(video_path(settings))
        if scan is None or scan.picture is None or self.person >= len(scan.picture.boxes):
            self.report({"ERROR"}, tr("Find the people first"))
            return {"CANCELLED"}
        people.toggle(settings.picks, scan.picture, self.person)
        settings.people = "PICKED"
        return {"FINISHED"}


class VIDEO_MOCAP_OT_cancel(bpy.types.Operator):
    """Stop this capture and key what has been computed; a waiting one is taken out of the queue"""

    bl_idname = "video_mocap.cancel"
    bl_label = "Cancel"

    key: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, context: bpy.types.Context, properties) -> str:
        return "" if properties.key else tr("Stop the running capture and take the waiting ones out of the queue")

    def execute(self, context: bpy.types.Context) -> set[str]:
        runner.cancel(self.key)
        return {"FINISHED"}


class TakeOperator(bpy.types.Operator):
    """Works on the take that is chosen in the list."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        entry = chosen(context)
        if entry is None:
            cls.poll_message_set(tr("Choose a take first"))
        elif entry.state == "LIVE":
            cls.poll_message_set(tr("The take is still being captured"))
        return entry is not None and entry.state != "LIVE"


def chosen(context: bpy.types.Context) -> takes.VideoMocapTake | None:
    """The take that is chosen in the list."""
    settings = context.scene.video_mocap
    return settings.takes[settings.active_take] if 0 <= settings.active_take < len(settings.takes) else None


class VIDEO_MOCAP_OT_take_select(TakeOperator):
    """Select the take's armature"""

    bl_idname = "video_mocap.take_select"
    bl_label = "Select"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set(tr("Only in object mode"))
            return False
        return super().poll(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        takes.select(context, chosen(context))
        return {"FINISHED"}


class VIDEO_MOCAP_OT_take_load(Guarded, bpy.types.Operator, ImportHelper):
    """Put take files on new armatures; with their index (.json) everyone who was captured"""

    bl_idname = "video_mocap.take_load"
    bl_label = "Load take"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".npz"
    filter_glob: bpy.props.StringProperty(default="*.npz;*.json", options={"HIDDEN"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})

    def work(self, context: bpy.types.Context) -> None:
        folder = Path(self.directory or Path(self.filepath).parent)
        named = sorted(folder / each.name for each in self.files if each.name) or [Path(self.filepath)]
        found = [read_index(path)[0] if path.suffix.lower() == ".json" else [path] for path in named]
        wanted = list(dict.fromkeys(path for several in found for path in several))
        errors = []
        for path in wanted:
            try:
                load_take(context.scene, path)
            except MocapError as error:
                errors.append(error)
        if len(errors) == len(wanted):
            raise errors[0]
        for error in errors:
            self.report({"WARNING"}, str(error))


class VIDEO_MOCAP_OT_match_scene(Guarded, TakeOperator):
    """Give the scene the clip's resolution and frame rate; captured keys keep their times"""

    bl_idname = "video_mocap.match_scene"
    bl_label = "Match scene to clip"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if not chosen(context).path:
            cls.poll_message_set(tr("A partial take has no file that tells about its clip"))
            return False
        return True

    def work(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        take = read_take(paths.absolute(chosen(context).path), camera.CLIP)
        if "image_size" not in take:
            self.report({"ERROR"}, tr("The take's file does not tell the size of its clip's picture."))
            return {"CANCELLED"}
        entries = scene.video_mocap.takes
        cameras = {}
        for entry in entries:
            if takes.has_camera(entry) and entry.camera.data not in cameras and entry.path:
                with suppress(MocapError):  # a file that is gone: its camera stays as it is
                    cameras[entry.camera.data] = read_take(paths.absolute(entry.path), camera.CLIP)
        cameras = {data: own for data, own in cameras.items() if "image_size" in own}
        here = [entry for entry in entries if takes.present(entry)]
        for entry in here:
            takes.separate(entry)
        bodies = {action for entry in here for action in takes.actions(entry)}
        rates = {entry.name: takes.rate(entry) for entry in here}
        others = takes.camera_actions(entries) | retarget_actions.of_scene(scene)
        camera.match_scene(scene, take, cameras, bodies | others)
        retarget_actions.retime_strips(scene)
        for name, rate in rates.items():
            doubt.retime(scene, name, camera.scene_rate(scene) / rate)
        for action in bodies:
            scene.frame_end = max(scene.frame_end, int(action.frame_range[1]))
        return {"FINISHED"}


classes = (
    VIDEO_MOCAP_OT_video_choose,
    VIDEO_MOCAP_OT_capture,
    VIDEO_MOCAP_OT_capture_many,
    VIDEO_MOCAP_OT_people_find,
    VIDEO_MOCAP_OT_people_stop,
    VIDEO_MOCAP_OT_people_turn,
    VIDEO_MOCAP_OT_people_toggle,
    VIDEO_MOCAP_OT_cancel,
    VIDEO_MOCAP_OT_take_select,
    VIDEO_MOCAP_OT_take_load,
    VIDEO_MOCAP_OT_match_scene,
)
