"""What charts are put together from. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from kndb.cells import visible


def element(tag: str, content: Markup | str = "", **attributes: object) -> Markup:
    """An element; an underscore in an attribute's name is a hyphen, and at its end is left out.

    >>> element("text", "a<b", x=1, text_anchor="end", class_="n")
    Markup('<text x="1" text-anchor="end" class="n">a&lt;b</text>')
    """
    # By hand: Markup.format is several times slower, and a chart has thousands of elements.
    inside = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_seen(_number(value)))}"'
        for name, value in attributes.items()
    )
    return Markup(f"<{tag}{inside}>{escape(_seen(content))}</{tag}>")


def drawing(
    width: float,
    height: float,
    label: str,
    parts: Iterable[Markup],
    role: str = "img",
    class_: str = "",
) -> Markup:
    """An image of these parts that scales with the page, with a text for who does not see it.

    With links that the keyboard reaches, its ``role`` is ``group``.
    """
    size = "chart wide" if width > 800 else "chart"
    return element(
        "svg",
        Markup("").join(parts),
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
        role=role,
        aria_label=label,
        class_=f"{size} {class_}".strip(),
    )


def title(text: str) -> Markup:
    """A tooltip."""
    return element("title", text)


def _seen(value: object) -> object:
    """Texts of the data with control characters visible."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _number(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
