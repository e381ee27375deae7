"""The layer map: every knowledge neuron of a run, layer by layer."""

from __future__ import annotations

from functools import partial

from kndb_serve.charts.map import cells_of_a_layer, neuron_map
from kndb_serve.page import Chart, Choice, Form, Page, Part, Table
from kndb_serve.pages.lists import lang_choice, relation_choice
from kndb_serve.view import View

COLOURS = ("facts", "relations", "neurons")


def layers(view: View) -> Page:
    """The map of a run, coloured by facts, relations or neurons."""
    run = view.run
    colour = view.asked.one_of("colour", COLOURS)
    relation, lang = view.asked.text("relation"), view.asked.text("lang")
    number = cells_of_a_layer(run)
    state = (run.run_id, relation, lang)
    cells = view.remember(
        ("map", *state),
        lambda: view.db.neuron_cells(run.run_id, number, relation=relation, lang=lang),
    )
    counts = view.remember(
        ("layer counts", *state),
        lambda: view.db.layers(relation=relation, lang=lang, run=run.run_id),
    )
    shown = Choice("colour", "Colour", [(name, name) for name in COLOURS], colour)
    width = -(-run.n_neurons // number)
    about = (
        f"Each cell is {width} neighbouring neurons of a layer, "
        + {
            "facts": "coloured by the most facts that one of them has",
            "relations": "coloured by the most relations that one of them has",
            "neurons": "coloured by the number of knowledge neurons among them",
        }[colour]
        + "; empty ones have no knowledge neuron. A cell leads to its neuron of the most facts."
    )
    draw = partial(neuron_map, cells, run, f"n_{colour}", view.asked.text("run"))
    parts: list[Part] = [
        Form([view.run_choice(), relation_choice(view), lang_choice(view), shown]),
        Chart("Map", draw, about, "layers"),
        Table("layers", "Layers", counts, bars=("n_neurons",)),
        Table("cells", "Cells of the map", cells, folded=True),
    ]
    return Page("Layers", "map", parts, "", {"model": run.model})
