"""Finds installed fonts for each script, and replaces labels that cannot be drawn.

A character missing from every font would appear as an empty box. The module depends on matplotlib
only and draws nothing.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache

TITLE_FAMILY = "DejaVu Sans"
"""The font bundled with matplotlib: Latin, Greek and Cyrillic, regular and bold."""

_WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Noto Sans Mono CJK SC",
    "Noto Serif CJK SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Droid Sans Fallback",
    "Noto Sans CJK JP",
    "Arial Unicode MS",
)
"""Common fonts for Chinese, Japanese and Korean on Linux, macOS and Windows."""

_OWN_NAMES = {
    "de": "Deutsch",
    "en": "English",
    "es": "español",
    "fr": "français",
    "it": "italiano",
    "ja": "日本語",
    "ko": "한국어",
    "nl": "Nederlands",
    "pl": "polski",
    "pt": "português",
    "ru": "русский",
    "tr": "Türkçe",
    "uk": "українська",
    "vi": "Tiếng Việt",
    "zh": "中文",
    "zh-hans": "中文",
}
"""Languages' own names, for scripts that matplotlib can lay out."""

_ENGLISH_NAMES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "fa": "Persian",
    "he": "Hebrew",
    "hi": "Hindi",
    "ja": "Japanese",
    "ko": "Korean",
    "ta": "Tamil",
    "th": "Thai",
    "ur": "Urdu",
    "zh": "Chinese",
    "zh-hans": "Chinese",
}
"""English names of languages whose own names need a font or a layout that may be missing."""


@cache
def families() -> list[str]:
    """Font families to draw with: the default, then installed ones with more characters."""
    from matplotlib.font_manager import fontManager

    if not set(_WIDE_FONTS) & set(fontManager.get_font_names()):
        _add_new_fonts()
    there = set(fontManager.get_font_names())
    return [TITLE_FAMILY, *(name for name in _WIDE_FONTS if name in there)]


def _add_new_fonts() -> None:
    """Read fonts that were installed after matplotlib made its list, which it keeps in a cache."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    for file in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError):  # no font, or one that matplotlib cannot read
            fontManager.addfont(file)


@cache
def _characters() -> frozenset[int]:
    """Code points covered by at least one of the families."""
    from matplotlib.font_manager import findfont, get_font

    fonts = [get_font(findfont(family)) for family in families()]
    return frozenset(point for font in fonts for point in font.get_charmap())


def can_draw(text: str) -> bool:
    """Whether every character has a font."""
    return all(ord(character) in _characters() for character in text)


def drawable(text: str, instead: str) -> str:
    """The text, or ``instead`` if some character has no font."""
    return text if text and can_draw(text) else instead


def language_label(code: str) -> str:
    """A language's code and own name, or its English name if the own one cannot be drawn.

    >>> language_label("en"), language_label("hi"), language_label("xx")
    ('en English', 'hi Hindi', 'xx')
    """
    known = code.lower()
    name = drawable(_OWN_NAMES.get(known, ""), _ENGLISH_NAMES.get(known, ""))
    return f"{code} {name}".rstrip()
