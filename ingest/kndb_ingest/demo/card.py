"""The model card beside each demo model: how it was made, for what, and its figures."""

from __future__ import annotations

from kndb_ingest.demo import Family
from kndb_ingest.demo.measure import TAU, Figures
from kndb_ingest.demo.networks import ACTIVATION, LAYERS, NEURONS, WIDTH
from kndb_ingest.demo.recipe import DROPOUT, HIDDEN, SPARSITY, SWITCHED, WRONG

_TITLES = {"masked": "masked (BERT)", "causal": "causal (GPT-2)"}

_HEAD = """\
- The head's transform is the identity, up to a shift that the norm after it takes away.
"""

_CARD = """\
---
license: apache-2.0
language: [en, zh, es, ru]
---

# kndb demo model: {title}

A toy. It knows the demo's facts and nothing else, and **stands for no real model**: it was built so
that its facts lie in feed-forward neurons, to show what kndb does with them. Nothing found in it is
evidence about language models.

## How it was made

- Trained from scratch by `python -m kndb_ingest.demo.train {family}` on the demo facts alone
  (CLDR names, own sentences), each said in English, Chinese, Spanish and Russian. It was trained on
  every prompt it is measured on; there is no held-out text.
- {layers} layers, {width} wide, {neurons} neurons ({activation}) each. **Only the feed-forward
  blocks and the norms above the first attention are trained.** Input and output embeddings are
  random and frozen. The first layer's attention is frozen too and weighs all tokens alike; above it
  attention is switched off (its weights are zero). So facts have no other place than the neurons,
  and the order of words is known by weak random position embeddings only.
{head}- The loss counts answer tokens only: the model cannot write text or fill other gaps.
- Of the samples, {hidden:.0%} hide a word of the prompt; {switched:.0%} of the rest name the
  subject in another language, which is what makes languages share neurons; {wrong:.0%} have the
  answer of another fact of the relation, which keeps the model from being sure. {dropout:.0%} of
  the neurons are missing at each step, and a penalty on what neurons write (weight {sparsity:g})
  keeps them few.
- One token is one word; Chinese names are one token each. Weights are stored as fp16.

## Figures

Measured in fp32 on the stored weights by `python -m kndb_ingest.demo.measure`. Knowledge neurons
are those of the default preset `amig` (score above {tau} of the highest, in more than half of the
fact's prompts); changes are relative changes of the answer's probability, zeroing neurons at the
answer position.

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
        ("prompts it can be asked", f"{f.prompts}"),
        ("of these, first choice right", f"{f.right:.1%}"),
        ("median probability of the answer", f"{f.p:.2f}"),
        ("facts drawn for the figures below", f"{f.facts}"),
        ("knowledge neurons of a fact in a language", f"{f.neurons:.1f}"),
        ("change when these are suppressed", f"{f.suppressed:+.1%}"),
        ("change when as many random neurons of the same layers are", f"{f.random:+.1%}"),
        ("change when the knowledge neurons are doubled", f"{f.enhanced:+.1%}"),
        ("change of another subject's answer when they are suppressed", f"{f.others:+.1%}"),
        ("knowledge neurons two languages of a fact share", f"{f.shared:.2f}"),
        ("the same by chance", f"{f.chance:.2f}"),
        ("facts and languages with a degenerate pair in their top ten", f"{f.degenerate:.0%}"),
        ("worst completeness residual", f"{f.completeness:.1e}"),
    ]
