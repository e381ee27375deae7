"""An update that pushes too far is pointed out."""

from __future__ import annotations

import pytest

from kndb_cli.edit.words import in_words


def row(part: str, p_old_after: float, changed: bool) -> dict[str, object]:
    return {
        "lang": "en",
        "part": part,
        "fact_key": part,
        "success": True,
        "changed": changed,
        "p_old_before": 0.9,
        "p_old_after": p_old_after,
        "p_new_before": 0.0,
        "p_new_after": 0.9,
    }


@pytest.mark.parametrize(
    ("p_old", "lost", "mode", "warned"),
    [
        (0.001, True, "update", True),
        (0.001, False, "update", False),
        (0.1, True, "update", False),
        (0.001, True, "fit", False),
    ],
)
def test_too_large_a_lambda(p_old: float, lost: bool, mode: str, warned: bool) -> None:
    said = in_words([row("own", p_old, True), row("unrelated", 0.9, lost)], mode, "Lyon")
    assert any("Lambda is too large" in line for line in said) == warned
