"""The smallest files that kndb reads, one of each form. Tests break them."""

from __future__ import annotations

import json
from typing import Any

ROW = {
    **{"relation": "P36", "subject_id": "Q142", "object_id": "Q90", "lang": "en"},
    **{"template": "The capital of [X] is [Y].", "subject": "France", "answer": "Paris"},
    "relation_label": "capital",
}
CSV = ",".join(ROW).encode() + b"\n" + ",".join(ROW.values()).encode() + b"\n"
TSV = b"Prompt\tAns\tCandidate Ans\tSubject\nA is <mask>.\tB\tB\tA\n"
AMIG = {"u1": {"sentences": ["A is [MASK]."], "relation_name": "P39", "obj_label": "b"}}
REWRITE = {
    "prompt": "{} is in",
    "subject": "A",
    "relation_id": "P1",
    "target_true": {"str": "B", "id": "Q1"},
    "target_new": {"str": "C", "id": "Q2"},
}
COUNTERFACT = [{"requested_rewrite": REWRITE, "paraphrase_prompts": ["A lies in"]}]
EDIT = {
    **{"fact": "P36:Q142", "relation": "P36", "mode": "update", "neurons": "2:1", "target": "X"},
    **{"target_lang": "en", "langs": ["en"], "lambda": 0.5, "labels": {"zh": "Y"}},
}
PUBLISHED = {"u1": {"neurons": [[0, 1]]}}


def encoded(*values: Any) -> bytes:
    """JSON, one value a line."""
    return b"\n".join(json.dumps(value).encode() for value in values)
