"""The page of a report and its charts: escaped, rounded and self-contained."""

from __future__ import annotations

import math
import re
import sys
from xml.etree import ElementTree

import pytest

from kndb.evaluation.readable import readable
from kndb.evaluation.report.charts import chart
from kndb.evaluation.report.html import Section, page
from kndb.evaluation.table import Table
from kndb.plotting.style import THEMES
from report_page import NASTY, RUN, check, estimates


def test_everything_is_escaped() -> None:
    missing = Table("crosslingual-pairs", NASTY, (), [], {}, [f"Run `kndb {NASTY}` first."])
    sections = [Section("crosslingual", [missing]), Section("degenerate", [estimates(n=3)])]
    text = page(RUN, sections, {"seed": NASTY})
    found = check(text)
    assert "script" not in found.tags
    shown = "".join(found.text)
    assert shown.count(NASTY) >= 4
    assert "a<b>&c" in shown


def test_long_tables_show_what_is_about_everything_first() -> None:
    text = page(RUN, [Section("degenerate", [estimates(n=60)])], {})
    found = check(text)
    assert found.tags.count("details") == 1
    assert "All 60 rows" in found.text
    assert found.tags.count("tr") == (1 + 1) + (1 + 60)


@pytest.mark.parametrize(
    ("wholes", "shown"),
    [([("all", "all")] * 2, 2), ([("all", "all"), ("all", "en"), ("P36", "all")], 3), ([], 24)],
)
def test_which_rows_of_a_long_table_come_first(wholes: list[tuple[str, str]], shown: int) -> None:
    rows = [*wholes, *[("P36", "en")] * 30]
    table = Table("degenerate", "t", ("relation", "lang"), rows)
    found = check(page(RUN, [Section("degenerate", [table])], {}))
    assert found.tags.count("tr") == (1 + shown) + (1 + len(rows))


def test_numbers_are_to_the_right_and_rounded() -> None:
    found = readable(estimates())
    assert found.heads == ["id", "relation", "lang", "rate", "control rate"]
    assert found.numeric == [False, False, False, True, True]
    assert found.rows[0][3:] == ["0.250 [0.125, 0.500]", "0.000"]
    assert found.rows[1][3:] == ["–", "1e-06"]
    text = page(RUN, [Section("degenerate", [estimates()])], {})
    assert '<td class="n" data-head="rate">0.250 <span class="i">[0.125, 0.500]</span></td>' in text
    # Each value has its head with it: on a narrow screen, a row is a list of both.
    assert check(text).values("data-head") == [*found.heads] * 2


def test_charts_have_the_colours_of_the_page_light_or_dark() -> None:
    svg = chart(estimates())
    assert svg is not None
    used = set(re.findall(r"var\(--([\w-]+)\)", svg))
    assert {"page", "ink", "grid", "series-0", "series-1"} <= used
    assert re.findall(r"#[0-9a-f]{6}", svg) == []  # no colour of its own
    style = page(RUN, [Section("degenerate", [estimates()])], {}).partition("</style>")[0]
    light, dark = style.split("prefers-color-scheme: dark")
    for name in used:
        assert f"--{name}: " in light
        assert f"--{name}: " in dark
    assert f"--page: {THEMES['dark'].background}" in dark


def test_a_ratio_whose_interval_is_huge_is_no_figure() -> None:
    columns = ("method", "success", "success_low", "success_high", "rate", "rate_low", "rate_high")
    rows = [
        ("wide", 40.0, -120.0, 3500.0, 0.1, 0.0001, 0.5),
        ("narrow", 40.0, 20.0, 60.0, *[0.1] * 3),
    ]
    found = readable(Table("localisation", "t", columns, rows))
    assert [row[1] for row in found.rows] == ["not determined", "40.0 [20.0, 60.0]"]
    assert found.rows[0][2] == "0.100 [1e-04, 0.500]"  # a share is one, however small
    assert len(found.notes) == 1
    assert "divided by is near 0" in found.notes[0]
    text = page(RUN, [Section("localisation", [Table("t", "t", columns, rows)])], {})
    assert found.notes[0] in check(text).text


def test_findings_come_first_with_the_figures_of_the_tables() -> None:
    tables = {
        "factcheck": Table(
            "factcheck",
            "t",
            ("method", "relation", "lang", "f1"),
            [
                ("random", "all", "all", 0.5),
                ("degenerate", "all", "all", 0.75),
                ("degenerate", "P36", "en", 0.99),
                ("everything-true", "all", "all", 0.6),
            ],
        ),
        "degenerate": estimates("degenerate"),
        "crosslingual": Table("crosslingual", "t", (), [], {}, ["nothing"]),
        "faithfulness": Table(
            "faithfulness",
            "t",
            ("method", "spearman"),
            [("true", 1.0), ("amig", 0.25), ("ig-zero", math.nan)],
        ),
    }
    text = page(RUN, [Section(name, [table]) for name, table in tables.items()], {})
    check(text)
    (found,) = re.findall(r'<section id="findings">.*?</section>', text, re.DOTALL)
    assert text.index(found) < text.index("<nav")
    assert (
        "<code>degenerate</code> tells true claims from false ones best, with an F1 of 0.750"
        in found
    )
    assert "calling every claim true has 0.600" in found
    assert "<code>amig</code> agree best" in found
    assert "a rank correlation of 0.250" in found
    assert found.count("<li>") == 2


@pytest.mark.parametrize(
    "table",
    [
        estimates(),
        Table(
            "factcheck",
            "t",
            ("method", "relation", "lang", "f1", "auroc"),
            [("degenerate", "all", "all", 0.5, math.nan), ("random", "all", "all", None, 0.5)],
        ),
        Table("faithfulness", "t", ("method", "spearman", "removed_10"), [("amig", 0.5, 0.1)]),
        Table(
            "localisation",
            "t",
            ("effect", "method", "relation", "lang", "related_relative", "unrelated_relative"),
            [("suppress", "amig", "all", "all", -0.5, 0.0), ("enhance", NASTY, "all", "all", 1, 0)],
        ),
        Table("crosslingual-pairs", "t", ("langs", "jaccard"), [("en,zh", 0.0), ("all", 0.0)]),
        Table(
            "crosslingual-edits",
            "t",
            ("mode", "selection", "measure", "value", "control"),
            [("erase", NASTY, "transfer", 0.5, math.nan)],
        ),
        Table("degenerate-sizes", "t", ("size", "drop", "drop_low"), [(2, 0.5, 0.4), (3, 0.6, 0)]),
        Table(
            "degenerate-layers",
            "t",
            ("layer", "degenerate_share", "knowledge_share"),
            [(0, 1.0, 0.5), (1, 0.0, 0.5)],
        ),
    ],
    ids=lambda table: table.name,
)
def test_charts_are_elements_that_need_nothing_else(table: Table) -> None:
    svg = chart(table)
    assert svg is not None
    assert "http" not in svg.replace("http://x", "")
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(str(name).startswith(f"{table.name}-") for name in ids)


def test_without_matplotlib_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = page(RUN, [Section("degenerate", [estimates()])], {})
    assert "svg" not in check(text).tags
    assert "kndb[plot]" in text
