"""Names for people."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.resource.names import text_of, visible


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("Überblick – مرحبا 日本語", "Überblick – مرحبا 日本語"),
        ("line\nbreak", "line[U+000A]break"),
        ("\x1b[31m", "[U+001B][31m"),
        ("photo\u202egpj.exe", "photo[U+202E]gpj.exe"),
        ("\u2066\u2069\u200b\ufeff\x7f\x85", "[U+2066][U+2069][U+200B][U+FEFF][U+007F][U+0085]"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_visible(name: str, shown: str) -> None:
    """What nobody sees is spelled out; what a script or an emoji needs stays."""
    assert visible(name.encode()) == shown


def test_what_is_no_utf_8() -> None:
    """It is replaced."""
    assert visible(b"a\xffb") == text_of(b"a\xffb") == "a\ufffdb"


@given(st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_nothing_shown_controls_anything(name: bytes) -> None:
    """Neither the line, nor the direction of what follows."""
    for character in visible(name):
        assert unicodedata.category(character) != "Cc"
        assert unicodedata.bidirectional(character) not in {
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        }
        assert character not in "\u2028\u2029\u200e\u200f\u061c"
