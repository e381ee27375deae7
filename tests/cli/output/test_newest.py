"""Lists by age: a limit keeps the newest."""

from __future__ import annotations

import pytest

from kndb_cli.output.formats import Format
from kndb_cli.output.output import Output, emit_newest
from kndb_cli.output.rows import Listing


@pytest.mark.parametrize(("limit", "kept"), [(1, ["c"]), (2, ["b", "c"]), (3, ["a", "b", "c"])])
def test_a_limit_keeps_the_newest(
    capsys: pytest.CaptureFixture[str], limit: int, kept: list[str]
) -> None:
    form: Format = "csv"
    emit_newest(Listing(["run"], [("a",), ("b",), ("c",)]), Output(form, None, False, limit))
    out, err = capsys.readouterr()
    assert out.splitlines() == ["run", *kept]
    assert err == ("" if limit == 3 else f"The newest {limit} of 3 rows; --limit sets how many.\n")
