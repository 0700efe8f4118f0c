"""Help buttons lead to places that exist, in the page that comes in the zip."""

from __future__ import annotations

import re
import sys

from backend.core.errors import CODES


def test_every_topic_and_every_error_code_is_in_the_page_of_the_zip(addon):
    page = addon.help.PAGE.read_text("utf-8")
    anchors = re.findall(r'id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    for topic in (*addon.help.TOPICS, *CODES):
        assert addon.help.url(topic).partition("#")[2] in anchors, topic
    assert page.count("<pre>") == page.count("</pre>") and "](" not in page and "**" not in page


def test_every_button_asks_for_a_topic_that_is_known(addon, root):
    asked = set()
    for path in (root / "mocap_addon").rglob("*.py"):
        asked |= set(re.findall(r'^    topic = "(\w+)"', path.read_text("utf-8"), re.MULTILINE))
    assert asked and asked <= set(addon.help.TOPICS)


def test_the_button_opens_the_browser_at_the_place(bpy, addon, tmp_path, monkeypatch):
    """The browser is a program that notes what it is asked to open."""
    noted = tmp_path / "asked"
    program = tmp_path / "browser"
    program.write_text(f'#!{sys.executable}\nimport sys\nopen({str(noted)!r}, "w").write(sys.argv[1])\n')
    program.chmod(0o755)
    import webbrowser

    monkeypatch.setattr(webbrowser, "_tryorder", ["noting"])
    monkeypatch.setattr(webbrowser, "_browsers", {"noting": [None, webbrowser.GenericBrowser([str(program), "%s"])]})
    assert bpy.ops.video_mocap.help(topic="video-missing") == {"FINISHED"}
    assert noted.read_text().endswith("help.html#video-missing") and noted.read_text().startswith("file://")
