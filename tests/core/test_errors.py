"""Every error says what to do and leaves with a status of its kind."""

from __future__ import annotations

import pytest

from backend.core.errors import CODES, MocapError


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_status_and_an_advice(code: str) -> None:
    error = MocapError(code, "clip.mp4 did something.")
    assert error.exit_status != 0
    assert error.fix.endswith(".") and code in str(error) and "clip.mp4" in str(error)


def test_an_advice_of_its_own_replaces_the_general_one() -> None:
    assert MocapError("disk-full", "No room.", "Delete old takes.").fix == "Delete old takes."


def test_unknown_codes_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        MocapError("surprise", "What?")
