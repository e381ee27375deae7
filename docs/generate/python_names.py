"""The page of the Python interface, from ``kndb.__all__`` and the docstrings."""

from __future__ import annotations

import inspect
import re
import sys

import kndb

START = """\
# Python reference

The names of `import kndb`. All other modules may change from one version to the next.

```python
import kndb

with kndb.open("demo.duckdb") as db:
    for row in db.query(fact="Benin", lang="en", top=3).to_dicts():
        print(row["layer"], row["neuron"], row["score"])
    db.sql("SELECT layer, count(*) FROM knowledge_neuron GROUP BY layer").to_arrow()
    db.overlap(langs=["en", "zh"], model="demo-masked").to_pandas()
    neurons = db.query(fact="Benin", lang="en", model="demo-masked")

model = kndb.load_model("demo-masked")
(found,) = kndb.attribute(model, ("The capital of Benin is [MASK].", "Porto-Novo"))
print(found.p_answer, found.completeness, found.top(5))  # scores: (layers, neurons)
found.show()  # what each word contributes, and the neurons by layer

with kndb.suppress(model, neurons):  # or kndb.enhance
    model.hf(**model.tokenizer("The capital of Benin is [MASK].", return_tensors="pt"))
```

In a notebook, results, attributions and pictures show themselves; the
[three notebooks](notebook-first-look.md) begin with that. An open database can be given wherever a
path can. While it is open, the same process cannot write to its file.

Importing it loads nothing heavy: each name is loaded when it is first used. Neither `import kndb`
nor asking a database imports torch or transformers.

"""


def python_page() -> str:
    """Functions, then classes, then values, then errors; each group by name."""
    return START + "".join(
        f"## {title}\n\n" + "".join(directive(kind, name) for name in names)
        for title, kind, names in groups()
        if names
    )


def groups() -> list[tuple[str, str, list[str]]]:
    """The public names, by what they are: title, kind of Sphinx directive, names."""
    errors = [name for name in kndb.__all__ if is_error(name)]
    classes = [name for name in kndb.__all__ if is_class(name) and name not in errors]
    functions = [name for name in kndb.__all__ if inspect.isroutine(getattr(kndb, name))]
    values = sorted(set(kndb.__all__) - {*errors, *classes, *functions})
    return [
        ("Functions", "function", functions),
        ("Classes", "class", classes),
        ("Values", "data", values),
        ("Errors", "exception", errors),
    ]


def is_class(name: str) -> bool:
    """Whether a public name is a class."""
    return inspect.isclass(getattr(kndb, name))


def is_error(name: str) -> bool:
    """Whether a public name is an exception."""
    value = getattr(kndb, name)
    return inspect.isclass(value) and issubclass(value, BaseException)


def directive(kind: str, name: str) -> str:
    """The directive that shows the name's docstring."""
    home = home_of(name) if kind == "data" else "kndb"
    lines = [f".. auto{kind}:: {home}.{name}"]
    lines += {
        "class": ["   :members:", "   :inherited-members:"],
        "exception": ["   :show-inheritance:"],
    }.get(kind, [])
    return "\n".join(["```{eval-rst}", *lines, "```"]) + "\n\n"


def home_of(name: str) -> str:
    """The module that documents a value: unlike a function, a value does not know it."""
    written = re.compile(rf"^{name}\b.*=", re.MULTILINE)
    for home, module in list(sys.modules.items()):
        if home.startswith("kndb.") and written.search(inspect.getsource(module)):
            return home
    raise LookupError(f"No module documents {name}; it needs a docstring below its value.")
