"""Everything that the add-on says is in the table of each language, with the same values to fill in."""

from __future__ import annotations

import importlib
import string

import messages  # packaging is on the path of the tests
import pytest


@pytest.fixture
def translations(addon):
    return importlib.import_module(f"{addon.__name__}.translations")


@pytest.fixture
def said(addon, root) -> set[str]:
    """All texts, from the classes of the installed extension and from its sources."""
    parts = (
        messages.from_classes(addon.registration.CLASSES),
        messages.from_source(root / "mocap_addon"),
        messages.advice(),
    )
    return {text for part in parts for text, _ in part}


def blanks(text: str) -> list[tuple[str, str]]:
    """Names and formats of the values that are filled in."""
    return sorted((name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name is not None)


def test_the_english_table_has_every_text_and_no_other(translations, said):
    english = importlib.import_module(f"{translations.__name__}.english").MESSAGES
    assert not said - set(english), "run packaging/messages.py"
    assert not set(english) - said, "run packaging/messages.py"
    assert len(english) == len(set(english)) > 300


def test_every_language_is_complete(translations, said):
    for name in translations.LANGUAGES.values():
        table = importlib.import_module(f"{translations.__name__}.{name}").MESSAGES
        assert not said - set(table), f"{name} lacks these"
        assert not set(table) - said, f"{name} translates what nobody says any more"
        for english, text in table.items():
            assert text.strip() == text and text
            assert blanks(text) == blanks(english), english
            assert english[-1:] in ".?:" or text[-1:] not in ".?:", english


def test_no_text_has_values_put_into_it_before_it_is_translated(root):
    assert messages.untranslatable(root / "mocap_addon") == []


def test_blender_shows_them(bpy, translations):
    view = bpy.context.preferences.view
    before = view.language
    try:
        view.language = "de_DE"
    except TypeError:
        pytest.skip("this Blender was built without languages")
    try:
        view.use_translate_interface = True
        assert translations.tr("Back to raw") == "Zurück zum Rohen"
        assert translations.tr("{time} left", time="0:12") == "noch 0:12"
        assert bpy.app.translations.pgettext("Face forward", "Operator") == "Nach vorn drehen"
        assert translations.tr("nothing that we say") == "nothing that we say"
    finally:
        view.language = before
    assert translations.tr("Back to raw") == "Back to raw"


def test_disabling_takes_the_table_away(bpy, extension):
    import addon_utils

    view = bpy.context.preferences.view
    try:
        view.language = "de_DE"
    except TypeError:
        pytest.skip("this Blender was built without languages")
    try:
        addon_utils.disable(extension.__name__)
        assert bpy.app.translations.pgettext_iface("Back to raw") == "Back to raw"
    finally:
        addon_utils.enable(extension.__name__, default_set=True)
        view.language = "en_US"
