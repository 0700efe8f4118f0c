"""Errors that a user can act on: a code, what happened, and what to do about it.

The codes are part of the wire protocol and of docs/troubleshooting.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# code -> (exit status of the command line, what to do). 3: the input, 4: the output, 5: the set-up.
CODES: dict[str, tuple[int, str]] = {
    "bad-request": (2, "Check the option against the command's `--help`."),
    "video-missing": (3, "Check the path; the file may have been moved, renamed or be on a drive that is not connected."),
    "video-is-folder": (3, "Choose a video file inside the folder."),
    "video-unreadable": (3, "Open it in a video player; if that fails too, export it again, for example as H.264 .mp4."),
    "video-no-picture": (3, "The file has sound but no picture: choose the file with the picture."),
    "video-empty": (3, "The recording seems to have been cut off before the first picture: copy it from the camera again."),
    "video-too-small": (3, "People must be at least about 40 pixels tall: use a larger version of the video."),
    "range-outside": (3, "Choose a start and an end inside the clip, the start before the end."),
    "no-person": (3, "Check that a person is seen for at least half a second, and large enough (a tenth of the picture's height)."),
    "person-missing": (3, "Find the people anew and pick some, or capture everyone (on the command line: --people all)."),
    "output-unwritable": (4, "Choose an output folder that you may write to."),
    "output-busy": (4, "Wait for the other capture, or choose another output file."),
    "disk-full": (4, "Free some space and run the same capture again: it continues where it stopped."),
    "models-missing": (5, "Install the extension from its release zip, or run `python3 packaging/dev.py setup` in a source folder."),
    "device-missing": (5, "Choose the device cpu, or install the PyTorch build for your card; `python -m backend doctor` tells the devices."),
    "device-memory": (5, "Close other programs that use the card, or choose the device cpu."),
    "model-missing": (5, "Add its file with `python -m backend models add`; `models list` says where it comes from."),
    "model-wrong": (5, "Add the file that `python -m backend models list` names for this model."),
    "model-unreadable": (5, "The file is damaged, not complete or of another kind: get it again from its publisher."),
    "model-unsafe": (5, "Do not use this file: the publishers' own do not do that. Get it from its publisher."),
    "model-licence": (5, "Read the licence that `python -m backend models list` names; switch `models commercial-only off` only if it allows your use."),
    "model-consent": (5, "Read the licence that is named and say yes, or add `--yes`; nothing was downloaded."),
    "model-download": (5, "Check the network connection and run the same command again: it continues where it stopped."),
    "model-checksum": (5, "Get the file again from its publisher; if that does not help, the publisher has changed it: do not use it."),
    "package-missing": (5, "Press Repair in the add-on's preferences; `python -m backend doctor` names what is missing."),
    "engine-unavailable": (5, "Choose another engine; `python -m backend doctor` says which ones can run and why not."),
    "python-missing": (5, "Press Set up capture in the sidebar, or name a Python in the add-on's preferences; on the command line: `setup`."),
    "python-broken": (5, "Press Repair in the add-on's preferences, or name another Python there."),
    "setup-offline": (5, "Allow it in Preferences > System > Network (on the command line: --online-mode), or set up from a folder of wheels."),
    "setup-download": (5, "Check the network connection and the proxy, if there is one (HTTPS_PROXY), then set up again: it continues."),
    "setup-hash": (5, "Set up again; if it happens again, something between here and the package index changes files: do not use it."),
    "setup-unsupported": (5, "Ready-made packages exist for 64-bit Windows, Linux and Apple silicon; from a folder of wheels: the folder lacks this one."),
    "setup-busy": (5, "Wait for it to end."),
    "setup-failed": (5, "See the log and set up again; Copy report in the add-on's preferences gathers what a bug report needs."),
    "protocol-mismatch": (5, "The add-on and the backend are of different versions: restart Blender, or install the zip again."),
    "backend-died": (5, "What was computed has been kept. Capture again to continue; if it happens again, see the log file."),
    "backend-silent": (5, "The backend stopped answering and was ended. Capture again to continue; see the log file."),
    "take-unreadable": (3, "The take file is damaged or of another kind: capture again."),
    "keypoints-unreadable": (3, "Choose the .keypoints file beside the take; where it is lost or damaged, capture again."),
    "motion-unreadable": (3, "Choose a take, an AMASS or SMPL-X .npz file, or a .bvh file; export a damaged one again."),
    "body-unreadable": (3, "Name your SMPL-X model file in its .npz form (such as SMPLX_NEUTRAL.npz) in the add-on's preferences."),
    "blend-unreadable": (3, "Choose a .blend file that this version of Blender can open."),
    "rig-missing": (3, "Choose the character's armature; on the command line: --armature NAME."),
    "rig-unknown": (3, "Choose the bones in the table of the Retarget panel and save it as a preset; on the command line: --mapping."),
    "rig-locked": (3, "Make a library override of the collection first: Object > Library Override > Make."),
    "preset-unreadable": (3, "Choose a mapping that was saved by this extension."),
    "cancelled": (130, "Run the same capture again to continue where it stopped."),
    "internal": (1, "This is a bug: please report it with the log file."),
}


class MocapError(Exception):
    """A failure with a code of `CODES`.

    what: one sentence that says what happened, with the name of the file or value concerned.
    fix: what to do; the code's own advice when not given.
    """

    def __init__(self, code: str, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.exit_status, advice = CODES[code]
        self.fix = fix or advice

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> MocapError:
        """What an `error` message tells; a code that is not known here is a bug of the other side."""
        code = message["code"] if message["code"] in CODES else "internal"
        return cls(code, message["what"], message["fix"])

    def __str__(self) -> str:
        return f"{self.what} {self.fix} [{self.code}]"
