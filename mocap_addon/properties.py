"""What the sidebar asks for, kept with the scene."""

import bpy

from . import clip, compat, environment, overlay, people, takes
from .cleaning import properties as cleaning
from .retarget import properties as retarget
from .translations import OWN

# Stages whose engine can be chosen -> label.
ENGINE_STAGES = {
    "track": "Tracking",
    "keypoints": "Keypoints",
    "body": "Body",
    "feet": "Feet",
    "orient": "Upright",
    "root": "Root",
}

# What a quality means: pictures a second (None: all of them), and engines other than the default where they can run.
QUALITIES: dict[str, tuple[float | None, dict[str, str]]] = {
    "FAST": (15.0, {"body": "analytic", "feet": "none", "orient": "none"}),
    "BALANCED": (None, {}),
    "BEST": (None, {"track": "blazepose-heavy"}),
}


def engines_named(stage: str, text: str) -> list[str]:
    """The engines of a stage that can run here and whose name holds a text."""
    return [name for name in environment.engines.get(stage, []) if text.lower() in name.lower()]


def _selected(settings: "VideoMocapScene", context: bpy.types.Context) -> None:
    # Only a click selects: when the list changes by itself, the user's selection stays.
    if context.area and 0 <= settings.active_take < len(settings.takes):
        takes.select(context, settings.takes[settings.active_take])


def _engine(stage: str):
    return bpy.props.StringProperty(
        name=ENGINE_STAGES[stage],
        description="Engine of this stage, the default when empty. Those that can run here are known after a first "
        "capture, or after Check in the preferences",
        search=lambda settings, context, text: engines_named(stage, text),
    )


class VideoMocapPick(bpy.types.PropertyGroup):
    """A person picked on a picture of the clip."""

    time: bpy.props.FloatProperty(name="Time", description="Second of the picture")
    x: bpy.props.FloatProperty(name="X", description="Pixels from the left edge")
    y: bpy.props.FloatProperty(name="Y", description="Pixels from the upper edge")


class VideoMocapScene(bpy.types.PropertyGroup):
    """Settings of the next capture and retargeting, and the takes of the scene."""

    video: bpy.props.StringProperty(
        name="Video",
        description="The video to capture from",
        subtype="FILE_PATH",
        options=compat.RELATIVE_PATH,
        update=clip.described,
    )
    clip_length: bpy.props.FloatProperty(name="Length", description="Seconds that the video lasts")
    clip_rate: bpy.props.FloatProperty(name="Frame rate", description="Frames a second of the video")
    clip_size: bpy.props.IntVectorProperty(name="Size", description="Width and height of the video, pixels", size=2)
    start: bpy.props.FloatProperty(name="Start", description="Second of the clip to start at", min=0.0, precision=2)
    end: bpy.props.FloatProperty(
        name="End", description="Second of the clip to stop at; 0 is the end of the clip", min=0.0, precision=2
    )
    people: bpy.props.EnumProperty(
        name="People",
        description="Who is captured; everyone gets an armature",
        items=(
            ("ALL", "Everyone", "Everyone in the video"),
            ("LARGEST", "Largest", "The person who is largest in the picture"),
            ("NUMBER", "Number", "The largest people, as many as asked for"),
            ("PERSON", "Person", "One person by number; people are counted as they come into the picture"),
            ("PICKED", "Picked", "Those that you pick on a picture of the clip"),
        ),
    )
    people_count: bpy.props.IntProperty(name="Count", description="How many people", default=2, min=1, max=99)
    person: bpy.props.IntProperty(name="Person", description="Number of the person", default=1, min=1)
    picks: bpy.props.CollectionProperty(type=VideoMocapPick)
    quality: bpy.props.EnumProperty(
        name="Quality",
        description="How much is spent on the clip; single engines can be chosen below",
        items=(
            ("FAST", "Fast", "15 pictures a second and the quickest engines: to see whether a clip is of use"),
            ("BALANCED", "Balanced", "Every picture, the default engines"),
            ("BEST", "Best", "Every picture, with the large landmark model: bodies more exact, twice as slow"),
        ),
        default="BALANCED",
        translation_context=OWN,
    )
    engine_track: _engine("track")
    engine_keypoints: _engine("keypoints")
    engine_body: _engine("body")
    engine_feet: _engine("feet")
    engine_orient: _engine("orient")
    engine_root: _engine("root")
    folder: bpy.props.StringProperty(options={"HIDDEN"})  # from where paths that begin with // are seen, see `paths`
    takes: bpy.props.CollectionProperty(type=takes.VideoMocapTake)
    retarget: bpy.props.PointerProperty(type=retarget.VideoMocapRetarget)
    show_keypoints: bpy.props.BoolProperty(
        name="Keypoints over the clip",
        description="Draw what the network saw over the picture, while the view looks through a take's camera: green "
        "was seen clearly, red is a guess",
        update=lambda settings, context: overlay.refresh(),
    )
    active_take: bpy.props.IntProperty(name="Take", description="The chosen take", update=_selected)

    def people_choice(self) -> str:
        """As the backend has it: all, largest, a number, or id with a person's number."""
        named = {"NUMBER": str(self.people_count), "PERSON": f"id{self.person}", "PICKED": people.choice(self.picks)}
        return named.get(self.people, self.people.lower())

    def engines(self) -> dict[str, str]:
        """Stage -> engine, of those stages that do not use the default: by quality where it can run, or as chosen."""
        by_quality = {
            stage: name
            for stage, name in QUALITIES[self.quality][1].items()
            if name in environment.engines.get(stage, [name])  # they come with the extension; not known yet is no "no"
        }
        return by_quality | {stage: name for stage in ENGINE_STAGES if (name := getattr(self, f"engine_{stage}"))}

    def rate(self) -> float | None:
        """Pictures a second that are looked at; None: all of them."""
        return QUALITIES[self.quality][0]


classes = (*cleaning.classes, takes.VideoMocapTake, *retarget.classes, VideoMocapPick, VideoMocapScene)


def register() -> None:
    """Give every scene its settings; their classes have to be registered before."""
    bpy.types.Scene.video_mocap = bpy.props.PointerProperty(type=VideoMocapScene)


def unregister() -> None:
    """Undo `register`."""
    del bpy.types.Scene.video_mocap
