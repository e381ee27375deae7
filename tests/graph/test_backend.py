"""An installed and preferred networkx backend computes kndb's measures and groups.

The backend is real: a package with the entry points that networkx looks for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planted_search import FACTS, add_search
from planted_store import plant

BACKEND = '''
"""Counts its calls and runs networkx's own code on its own graph type."""
import networkx as nx

calls = []
NAMES = ("betweenness_centrality", "louvain_communities", "connected_components", "find_cliques")


class Counted:
    __networkx_backend__ = "counted"

    def __init__(self, graph):
        self.graph = nx.Graph(graph)

    def is_directed(self):
        return False

    def is_multigraph(self):
        return False


def convert_from_nx(graph, **kwargs):
    return Counted(graph)


def convert_to_nx(result, **kwargs):
    return result.graph if isinstance(result, Counted) else result


def _counting(name):
    def run(graph, *args, **kwargs):
        assert isinstance(graph, Counted)
        calls.append(name)
        return nx.utils.backends._registered_algorithms[name].orig_func(
            graph.graph, *args, **kwargs
        )
    return run


for name in NAMES:
    globals()[name] = _counting(name)


def get_info():
    return {"functions": {name: {} for name in NAMES}}
'''

ENTRY_POINTS = """
[networkx.backends]
counted = counted_backend
[networkx.backend_info]
counted = counted_backend:get_info
"""

USE = """
import json, sys
import networkx as nx
from kndb.graph.groups import groups
from kndb.graph.measures import measures
import counted_backend
if sys.argv[2] == "config":
    nx.config.backend_priority = ["counted"]
found = [measures(sys.argv[1]).to_dicts(), groups(sys.argv[1], by="all").to_dicts()]
print(json.dumps({"found": found, "calls": sorted(set(counted_backend.calls))}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the backend is installed as a package."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "counted_backend.py").write_text(BACKEND, encoding="utf-8")
    about = folder / "counted_backend-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counted-backend\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


def use(installed: Path, database: Path, how: str) -> dict[str, Any]:
    """Measures and groups in a separate process: networkx finds backends when it is imported."""
    env = os.environ | {"PYTHONPATH": str(installed)}
    env |= {"NETWORKX_BACKEND_PRIORITY": "counted"} if how == "environment" else {}
    command = [sys.executable, "-c", USE, str(database), how]
    done = subprocess.run(command, capture_output=True, env=env, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.long
def test_a_preferred_backend_computes_and_its_results_come_out(
    installed: Path, database: Path
) -> None:
    plain = use(installed, database, "none")
    assert plain["calls"] == []
    assert plain["found"][0][0]["neuron"] == "0:2"
    for how in ("config", "environment"):
        handed_over = use(installed, database, how)
        assert handed_over["found"] == plain["found"]
        assert handed_over["calls"] == [
            *("betweenness_centrality", "connected_components"),
            *("find_cliques", "louvain_communities"),
        ]
