"""A small fact set in ParaRel's form, and lists of its neurons as they are published."""

from __future__ import annotations

import json
from pathlib import Path

FACTS = {
    "P36": [("u1", "France", "Paris"), ("u2", "China", "Beijing")],
    "P38": [("u3", "France", "euro")],
}
NEURONS = {
    "a.json": {"u1": [[10, 188], [11, 500]], "u2": []},
    "b.json": {"u3": [[10, 188]]},
}


def write_facts(folder: Path) -> Path:
    """The fact set, in a folder of its own."""
    root = folder / "pararel"
    for part in ("pattern_data/graphs_json", "trex_lms_vocab"):
        (root / part).mkdir(parents=True)
    for relation, facts in FACTS.items():
        patterns = [{"pattern": "[X] has [Y] ."}, {"pattern": "[Y] is of [X] ."}]
        _lines(root / "pattern_data/graphs_json" / f"{relation}.jsonl", patterns)
        records = [
            {"uuid": uuid, "sub_label": subject, "obj_label": answer}
            for uuid, subject, answer in facts
        ]
        _lines(root / "trex_lms_vocab" / f"{relation}.jsonl", records)
    return root


def _lines(path: Path, records: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_neurons(folder: Path) -> Path:
    """The lists, in a folder of their own."""
    root = folder / "neurons"
    root.mkdir()
    for name, lists in NEURONS.items():
        (root / name).write_text(json.dumps(lists))
    return root
