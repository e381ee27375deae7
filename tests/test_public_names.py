"""Public names exist, and cost nothing until they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kndb
from small_store import finished_run

HEAVY = ("torch", "transformers", "sqlalchemy", "alembic", "pyarrow", "networkx", "numpy", "pandas")


def test_every_public_name_is_there_and_documented() -> None:
    assert dir(kndb) == kndb.__all__ == sorted(kndb.__all__)
    for name in kndb.__all__:
        value = getattr(kndb, name)
        if name != "PRESETS":
            assert value.__doc__, name


def test_type_checkers_and_python_see_the_same_names() -> None:
    tree = ast.parse(Path(kndb.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kndb")
        for alias in node.names
        if alias.asname
    }
    homes = {name: module for module, names in kndb.PUBLIC.items() for name in names}
    assert imported == homes
    for name, module in homes.items():
        assert getattr(kndb, name) is getattr(sys.modules[module], name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kndb.nothing


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after running ``code``."""
    code += f"\nimport sys; print(*[name for name in {HEAVY} if sys.modules.get(name)])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_kndb_loads_nothing_heavy() -> None:
    assert loaded_by("import kndb") == set()


def test_querying_loads_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    # DuckDB itself loads pandas, if installed, with the first parameter.
    code = (
        "import sys\nsys.modules['pandas'] = None\n"
        f"import kndb\nwith kndb.open({str(path)!r}) as db:\n"
        "    assert db.query(fact='France', tau=0.3).rows()\n"
        "    assert db.sql('FROM runs').rows() and db.runs().to_dicts()\n"
        "    try: db.query(fact='Frnace')\n    except kndb.NotFound: pass"
    )
    assert loaded_by(code) == set()
