"""The help that comes with the extension: one page, opened at the right place in the browser, without a network."""

from pathlib import Path

import bpy

from .translations import tr

PAGE = Path(__file__).parents[1] / "assets" / "help" / "help.html"
TOPICS = {  # panels and buttons -> headings of the page
    "capture": "capture",
    "set_up": "install-it-in-blender",
    "takes": "takes",
    "cleaning": "cleaning",
    "retarget": "your-own-character",
    "trouble": "when-something-goes-wrong",
}


def url(topic: str) -> str:
    """Where a topic or an error code is explained."""
    return f"{PAGE.as_uri()}#{TOPICS.get(topic, topic)}"


class VIDEO_MOCAP_OT_help(bpy.types.Operator):
    """Open the help at this place, in the browser; no network is needed"""

    bl_idname = "video_mocap.help"
    bl_label = "Help"
    bl_options = {"INTERNAL"}

    topic: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not PAGE.is_file():
            self.report({"ERROR"}, tr("The help page comes with the extension's zip; otherwise read README.md."))
            return {"CANCELLED"}
        return bpy.ops.wm.url_open(url=url(self.topic))


def button(layout: bpy.types.UILayout, topic: str) -> None:
    """A small Help button, for the headers of panels."""
    layout.operator("video_mocap.help", text="", icon="QUESTION", emboss=False).topic = topic


classes = (VIDEO_MOCAP_OT_help,)
