"""Labels that can be read: finds fonts for the scripts there are, and says what cannot be drawn.

A character that no font has would come out as an empty box. Only matplotlib is known here.
"""

from __future__ import annotations

from functools import cache

TITLE_FAMILY = "DejaVu Sans"
"""The font that comes with matplotlib: Latin, Greek and Cyrillic, upright and bold."""

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
"""Fonts with Chinese, Japanese and Korean characters on Linux, macOS and Windows."""

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
"""What languages call themselves; of scripts that matplotlib can lay out."""

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
"""Of languages whose own names need fonts that may be missing, or a layout that there is not."""


@cache
def families() -> list[str]:
    """Font families to draw with: the default, then what there is with more characters."""
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    return [TITLE_FAMILY, *(name for name in _WIDE_FONTS if name in there)]


@cache
def _characters() -> frozenset[int]:
    """Code points that one of the families has."""
    from matplotlib.font_manager import findfont, get_font

    fonts = [get_font(findfont(family)) for family in families()]
    return frozenset(point for font in fonts for point in font.get_charmap())


def can_draw(text: str) -> bool:
    """Whether there is a font for every character."""
    return all(ord(character) in _characters() for character in text)


def drawable(text: str, instead: str) -> str:
    """The text, or ``instead`` where a font is missing for it."""
    return text if text and can_draw(text) else instead


def language_label(code: str) -> str:
    """A language's code and its own name or, where that cannot be drawn, its English one.

    >>> language_label("en"), language_label("hi"), language_label("xx")
    ('en English', 'hi Hindi', 'xx')
    """
    known = code.lower()
    name = drawable(_OWN_NAMES.get(known, ""), _ENGLISH_NAMES.get(known, ""))
    return f"{code} {name}".rstrip()
