"""Writes the model card of a demo model: how and why it was made, and its figures.

It measures nothing itself; see ``measure``.
"""

from __future__ import annotations

from kndb_ingest.demo import Family
from kndb_ingest.demo.measure import TAU, Figures
from kndb_ingest.demo.networks import ACTIVATION, LAYERS, NEURONS, WIDTH
from kndb_ingest.demo.recipe import DROPOUT, HIDDEN, SPARSITY, SWITCHED, WRONG

_TITLES = {"masked": "masked (BERT)", "causal": "causal (GPT-2)"}

_HEAD = """\
- The head's transform is the identity up to a shift, which the following norm removes.
"""

_CARD = """\
---
license: apache-2.0
language: [en, zh, es, ru]
---

# kndb demo model: {title}

This is a toy. It knows the demo's facts and nothing else, and it is **not representative of any
real model**: it was built to store its facts in feed-forward neurons, in order to show what kndb
does with them. Nothing found in it is evidence about language models.

## How it was made

- The model was trained from scratch with `python -m kndb_ingest.demo.train {family}` on the demo
  facts alone (names from CLDR, sentences written for the demo), each stated in English, Chinese,
  Spanish and Russian. It was trained on every prompt it is measured on; there is no held-out text.
- It has {layers} layers of width {width} with {neurons} neurons ({activation}) each. **Only the
  feed-forward blocks and the norms above the first attention are trained.** Input and output
  embeddings are random and frozen. The first layer's attention is also frozen and weights all
  tokens equally; in the layers above, attention is switched off (its weights are zero). So facts
  can be stored only in the neurons, and word order is visible only through weak random position
  embeddings.
{head}- Only answer tokens contribute to the loss: the model cannot write text or fill other gaps.
- {hidden:.0%} of the samples hide a word of the prompt; {switched:.0%} of the others name the
  subject in another language, which makes languages share neurons; {wrong:.0%} have the answer of
  another fact of the relation, which keeps the model from becoming certain. At each step,
  {dropout:.0%} of the neurons are dropped out, and a penalty on the neurons' output (weight
  {sparsity:g}) keeps the number of active neurons small.
- Every token is a word; a Chinese name is a single token. The weights are stored as fp16.

## Figures

Measured in fp32 on the stored weights with `python -m kndb_ingest.demo.measure`. Knowledge neurons
are those of the default preset `amig` (score above {tau} of the highest, in more than half of the
fact's prompts). Changes are relative changes in the answer's probability when neurons are scaled at
the answer position.

| figure | value |
|---|---|
{rows}
"""


def card(family: Family, figures: Figures) -> str:
    """The text of a model's ``README.md``."""
    return _CARD.format(
        title=_TITLES[family],
        family=family,
        layers=LAYERS,
        width=WIDTH,
        neurons=NEURONS,
        activation=ACTIVATION.upper(),
        head=_HEAD if family == "masked" else "",
        hidden=HIDDEN,
        switched=SWITCHED,
        wrong=WRONG[family],
        dropout=DROPOUT,
        sparsity=SPARSITY,
        tau=TAU,
        rows="\n".join(f"| {name} | {value} |" for name, value in _rows(figures)),
    )


def _rows(figures: Figures) -> list[tuple[str, str]]:
    f = figures
    return [
        ("prompts the model can be given", f"{f.prompts}"),
        ("first choice correct", f"{f.right:.1%}"),
        ("median probability of the answer", f"{f.p:.2f}"),
        ("facts sampled for the figures below", f"{f.facts}"),
        ("knowledge neurons per fact and language", f"{f.neurons:.1f}"),
        ("change when they are suppressed", f"{f.suppressed:+.1%}"),
        ("change when as many random neurons in the same layers are", f"{f.random:+.1%}"),
        ("change when the knowledge neurons are doubled", f"{f.enhanced:+.1%}"),
        ("change in another subject's answer when they are suppressed", f"{f.others:+.1%}"),
        ("knowledge neurons shared by two languages of a fact", f"{f.shared:.2f}"),
        ("the same by chance", f"{f.chance:.2f}"),
        ("fact-languages with a degenerate pair in their top ten", f"{f.degenerate:.0%}"),
        ("largest completeness residual", f"{f.completeness:.1e}"),
    ]
