"""Tables as text, at the widths that people have."""

import io
from datetime import datetime

import pytest
from rich.cells import cell_len

from kndb_cli.output.fitting import generic
from kndb_cli.output.neuron_table import neuron_table
from kndb_cli.output.rows import Listing
from kndb_cli.output.tables import draw

COLUMNS = (
    *("fact_key", "relation", "lang", "subject", "answer"),
    *("layer", "neuron", "score", "support", "n_langs", "langs", "model", "run_id"),
)

NEURONS = Listing(
    COLUMNS,
    [
        (
            "P36:Q142",
            "capital",
            "en",
            "France",
            "Paris",
            2,
            117,
            0.2501,
            1.0,
            2,
            "en,zh",
            "model-a",
            7,
        ),
        (
            "P36:Q142",
            "capital",
            "en",
            "France",
            "Paris",
            1,
            33,
            0.125,
            2 / 3,
            1,
            "en",
            "model-a",
            7,
        ),
        ("P36:Q142", "capital", "en", "France", "Paris", 0, 5, 0.5, 1.0, 1, "en", "model-b", 8),
        ("P36:Q142", "capital", "zh", "法国", "巴黎", 2, 117, 0.2, 1.0, 2, "en,zh", "model-a", 7),
        (
            "P36:Q145",
            "capital",
            "en",
            "United Kingdom",
            "London",
            0,
            7,
            0.3,
            1.0,
            1,
            "en",
            "model-a",
            7,
        ),
    ],
)

WIDE = """\
model-a  run 7
fact      relation  lang  subject         answer  neuron   score  support  langs
───────────────────────────────────────────────────────────────────────────────────
P36:Q142  capital   en    France          Paris    2:117  0.2501     100%  2  en,zh
                                                    1:33  0.1250      67%  1  en
                    zh    法国            巴黎     2:117  0.2000     100%  2  en,zh
P36:Q145  capital   en    United Kingdom  London     0:7  0.3000     100%  1  en

model-b  run 8
fact      relation  lang  subject  answer  neuron   score  support  langs
─────────────────────────────────────────────────────────────────────────
P36:Q142  capital   en    France   Paris      0:5  0.5000     100%  1  en
"""

WITHOUT_RELATIONS = """\
model-a  run 7
fact      lang  subject         answer  neuron   score  support  langs
─────────────────────────────────────────────────────────────────────────
P36:Q142  en    France          Paris    2:117  0.2501     100%  2  en,zh
                                          1:33  0.1250      67%  1  en
          zh    法国            巴黎     2:117  0.2000     100%  2  en,zh
P36:Q145  en    United Kingdom  London     0:7  0.3000     100%  1  en

model-b  run 8
fact      lang  subject  answer  neuron   score  support  langs
───────────────────────────────────────────────────────────────
P36:Q142  en    France   Paris      0:5  0.5000     100%  1  en
"""

NARROW = """\
model-a  run 7
P36:Q142 capital en France → Paris
  neuron    score  support  langs
   2:117   0.2501     100%  2  en,zh
    1:33   0.1250      67%  1  en
P36:Q142 capital zh 法国 → 巴黎
  neuron    score  support  langs
   2:117   0.2000     100%  2  en,zh
P36:Q145 capital en United Kingdom → London
  neuron    score  support  langs
     0:7   0.3000     100%  1  en
"""


@pytest.fixture
def drawn(monkeypatch):
    def draw_at(width, renderable):
        monkeypatch.setenv("COLUMNS", str(width))
        stream = io.StringIO()
        draw(renderable, stream)
        lines = stream.getvalue().splitlines()
        assert max(map(cell_len, lines)) <= width
        return stream.getvalue()

    return draw_at


def test_neurons_wide_run_after_run(drawn):
    assert drawn(100, neuron_table(NEURONS)) == WIDE


def test_relations_are_left_out_first(drawn):
    narrower = drawn(80, neuron_table(NEURONS)).partition("\n\n")[0]
    assert narrower == WITHOUT_RELATIONS.partition("\n\n")[0]


def test_a_key_that_nobody_types_is_shown_by_names(drawn):
    uuid = Listing(COLUMNS, [(f"P36:{'8d2b' * 8}", *NEURONS.values[0][1:])])
    assert "P36:France  capital" in drawn(100, neuron_table(uuid))


def test_neurons_narrow(drawn):
    assert drawn(60, neuron_table(NEURONS)).startswith(NARROW)


def test_a_pipe_has_no_width(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    stream = io.StringIO()
    draw(generic(Listing(("text",), [("word " * 100,)])), stream)
    assert len(stream.getvalue().splitlines()) == 3


RUNS = Listing(
    ("run_id", "model", "note", "at", "ok"),
    [(8123456789012345678, "法国 [bold]x[/bold]", None, datetime(2026, 1, 2, 3, 4, 5), True)],
)


def test_any_rows_wide(drawn):
    assert drawn(90, generic(RUNS)) == (
        "             run_id  model                note  at                   ok\n"
        "─────────────────────────────────────────────────────────────────────────\n"
        "8123456789012345678  法国 [bold]x[/bold]  –     2026-01-02 03:04:05  true\n"
    )


def test_any_rows_narrow(drawn):
    assert drawn(40, generic(RUNS)) == (
        "run_id  8123456789012345678\n"
        "model   法国 [bold]x[/bold]\n"
        "note    –\n"
        "at      2026-01-02 03:04:05\n"
        "ok      true\n"
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.5, 0.25, None], ["0.50", "0.25", "–"]),
        ([1 / 3, 0.25], ["0.3333", "0.2500"]),
        ([1.0, 0.0], ["1.0", "0.0"]),
        ([0.00012, 0.0001], ["0.00012", "0.0001"]),
        ([1e9], ["1e+09"]),
        ([7, 12], ["7", "12"]),
    ],
)
def test_numbers_of_a_column_share_one_precision(drawn, values, texts):
    lines = drawn(40, generic(Listing(("x",), [(value,) for value in values]))).splitlines()[2:]
    assert [line.strip() for line in lines] == texts
    if all(isinstance(value, int | float) for value in values):
        assert len(set(map(len, lines))) == 1  # right-aligned
