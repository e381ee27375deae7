"""The facts in a data set that a model knows: those whose right answer is its first choice.

    python benchmarks/known_facts.py DIR mpararel --lang en --out known.jsonl

A fact is kept if at least two of its prompts are known, with only those prompts. At most
``--facts`` facts of each relation are kept, so that no relation outweighs the others. The file is a
data set in kndb's own format, for ``kndb ingest``.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from kndb.facts import Fact, Prompt, content_id
from kndb.models import ModelChoice
from kndb.models.asking import Asker
from kndb_ingest.datasets.dataset import read_dataset

FEWEST_PROMPTS = 2
"""One finds the neurons, another is the paraphrase."""


def drawn(prompts: tuple[Prompt, ...], candidates: int, seed: int) -> list[Prompt]:
    """The prompts of at most ``candidates`` facts per relation, drawn with the seed."""
    facts = sorted(
        {prompt.fact for prompt in prompts},
        key=lambda fact: content_id("known", seed, fact.key, fact.object_id),
    )
    taken: Counter[str] = Counter()
    chosen = set()
    for fact in facts:
        taken[fact.relation_id] += 1
        if taken[fact.relation_id] <= candidates:
            chosen.add(fact)
    return [prompt for prompt in prompts if prompt.fact in chosen]


def known(asker: Asker, prompts: list[Prompt], at_most: int) -> dict[Fact, list[Prompt]]:
    """The known facts with their known prompts; ``at_most`` facts per relation."""
    answers = asker.ask([(prompt.text, prompt.answer) for prompt in prompts])
    found: dict[Fact, list[Prompt]] = defaultdict(list)
    for prompt, answer in zip(prompts, answers, strict=True):
        if not isinstance(answer, str) and answer.is_first:
            found[prompt.fact].append(prompt)
    taken: Counter[str] = Counter()
    kept = {}
    for fact, own in found.items():
        if len(own) >= FEWEST_PROMPTS and taken[fact.relation_id] < at_most:
            taken[fact.relation_id] += 1
            kept[fact] = own
    return kept


def rows(facts: dict[Fact, list[Prompt]], templates: int) -> Iterator[dict[str, str]]:
    """The prompts as rows in kndb's own format."""
    for fact, prompts in facts.items():
        for prompt in prompts[:templates]:
            yield {
                "relation": fact.relation_id,
                "subject_id": fact.subject_id,
                "object_id": fact.object_id,
                "lang": prompt.lang,
                "template": prompt.template,
                "subject": prompt.subject,
                "answer": prompt.answer,
            }


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--lang", default="en")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--facts", type=int, default=12, help="facts to keep per relation")
    parser.add_argument("--candidates", type=int, default=40, help="facts to try per relation")
    parser.add_argument("--templates", type=int, default=3, help="prompts to keep per fact")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    prompts = read_dataset(options.dataset, langs=[options.lang]).prompts
    asker = Asker(ModelChoice(options.model, device="cpu").load())
    facts = known(asker, drawn(prompts, options.candidates, options.seed), options.facts)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows(facts, options.templates)]
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    by_relation = Counter(fact.relation_id for fact in facts)
    print(f"{len(lines)} prompts of {len(facts)} facts: {dict(sorted(by_relation.items()))}")


if __name__ == "__main__":
    main()
