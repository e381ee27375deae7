"""What an edit needs of the index: a fact's prompts and neurons, labels, other facts' prompts.

Reads only; one open connection serves many edits. It runs no model and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.neurons import Neuron
from kndb.store.lookup import find_facts, find_relations
from kndb.store.prompts import StoredPrompt, prompts_of
from kndb.store.refine import REFINED_OF_FACTS
from kndb.store.which_search import newest_search

Neurons = dict[str, list[Neuron]]
"""Neurons by language, the strongest first."""


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact of the index."""

    fact_id: int
    key: str
    relation_id: str
    object_id: str


@dataclass(frozen=True)
class Labels:
    """What an object is called.

    Attributes:
        object_id: its identifier.
        by_lang: its most frequent label in each language.
        by_template: its label in each language and template, which may inflect it.
    """

    object_id: str
    by_lang: Mapping[str, str]
    by_template: Mapping[tuple[str, str], str]


_FACT = "SELECT fact_id, fact_key, relation_id, object_id FROM fact"
# The run as if it had only these prompts: this prediction is read instead of the table.
_FOUND_WITH = f"""
    WITH prediction AS (SELECT * FROM main.prediction WHERE list_contains($prompts, prompt_id))
    SELECT lang, layer, neuron FROM ({REFINED_OF_FACTS}) ORDER BY lang, score DESC, layer, neuron
"""
_IMPORTED = """
    SELECT lang, layer, neuron FROM knowledge_neuron WHERE run_id = ? AND fact_id = ?
    ORDER BY lang, layer, neuron
"""
_STRONGEST = """
    SELECT lang, layer, neuron FROM (
        SELECT lang, layer, neuron, sum(CAST(score AS DOUBLE)) AS total
        FROM attribution JOIN prompt USING (prompt_id)
        WHERE run_id = ? AND list_contains(?, prompt_id) GROUP BY ALL
    ) QUALIFY row_number() OVER (PARTITION BY lang ORDER BY total DESC, layer, neuron) <= ?
    ORDER BY lang, total DESC, layer, neuron
"""
_DEGENERATE = """
    SELECT DISTINCT lang, layer, neuron
    FROM degenerate_set JOIN degenerate_member USING (search_id, set_id)
    WHERE search_id = ? AND fact_id = ? AND kind = 'degenerate' AND is_degenerate
    ORDER BY lang, layer, neuron
"""
_OBJECTS = """
    SELECT DISTINCT object_id, relation_id = $relation AS own
    FROM prompt JOIN fact USING (fact_id)
    WHERE dataset_id = $dataset AND lang = $lang AND answer = $label
    ORDER BY own DESC, object_id
"""
_LABELS = """
    SELECT lang, template, answer, count(*) AS n, relation_id = $relation AS own
    FROM prompt JOIN fact USING (fact_id)
    WHERE dataset_id = $dataset AND object_id = $object
    GROUP BY ALL ORDER BY own, n, answer DESC
"""
_OTHERS = """
    WITH other AS (
        SELECT fact_id FROM fact
        WHERE (relation_id = $relation) = $same AND NOT list_contains($objects, object_id)
              AND fact_id <> $fact AND NOT list_contains($exclude, fact_id)
              AND fact_id IN (
                  SELECT fact_id FROM prompt JOIN prediction USING (prompt_id)
                  WHERE run_id = $run AND status = 'done'
              )
        ORDER BY md5(fact_id || ' ' || $seed), fact_id LIMIT $n
    )
    SELECT prompt_id FROM prompt JOIN other USING (fact_id) SEMI JOIN (
        FROM prediction WHERE run_id = $run AND status = 'done'
    ) AS done USING (prompt_id)
    QUALIFY row_number() OVER (
        PARTITION BY fact_id, lang ORDER BY md5(prompt_id || ' ' || $seed), prompt_id
    ) = 1
"""
_SHARED = """
    WITH other AS (
        SELECT DISTINCT fact_id FROM knowledge_neuron JOIN fact USING (fact_id)
        WHERE run_id = $run AND relation_id <> $relation
    )
    SELECT layer, neuron FROM knowledge_neuron SEMI JOIN other USING (fact_id)
    WHERE run_id = $run GROUP BY layer, neuron
    HAVING count(DISTINCT fact_id) > $share * (SELECT count(*) FROM other)
"""
_OBJECTS_OF = "SELECT DISTINCT object_id FROM fact WHERE relation_id = ? AND dataset_id = ?"
_LAYERS = "SELECT n_layers, n_neurons FROM model JOIN run USING (model_id) WHERE run_id = ?"


class EditSource:
    """Reads what edits of one run need from an open database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, run_id: int) -> None:
        self._connection = connection
        self.run_id = run_id
        sql = "SELECT dataset_id FROM run WHERE run_id = ?"
        ((self._dataset,),) = connection.execute(sql, [run_id]).fetchall()

    def has(self, edit_id: int) -> bool:
        """Is the edit in the ledger, neither undone nor skipped?"""
        sql = "SELECT 1 FROM edit WHERE edit_id = ? AND status = 'active'"
        return bool(self._connection.execute(sql, [edit_id]).fetchall())

    def fact(self, asked: str, relation: str | None = None) -> StoredFact:
        """The one fact of the run's data that is meant.

        Args:
            asked: a key, a prompt, or words of the subject.
            relation: id or label of its relation, where the subject has several facts.

        Raises:
            NotFound: there is none.
            UsageError: there are several.
        """
        connection = self._connection
        relations = None if relation is None else find_relations(connection, relation)
        rows = connection.execute(
            f"{_FACT} WHERE dataset_id = ? AND list_contains(?, fact_id) ORDER BY fact_key",
            [self._dataset, find_facts(connection, asked)],
        ).fetchall()
        found = [StoredFact(*row) for row in rows if relations is None or row[2] in relations]
        if not found:
            raise NotFound(f"No fact of the run {self.run_id} matches {asked!r}.")
        if len(found) > 1:
            keys = ", ".join(fact.key for fact in found[:5])
            raise UsageError(
                f"{asked!r} means {len(found)} facts ({keys}); give the key or the relation of one."
            )
        return found[0]

    def keys(self, relation: str | None = None) -> list[str]:
        """The keys of the run's facts, of one relation or of all."""
        relations = None if relation is None else find_relations(self._connection, relation)
        rows = self._connection.execute(
            f"SELECT DISTINCT fact_key FROM ({_FACT} WHERE dataset_id = $dataset AND "
            "($relations IS NULL OR list_contains($relations, relation_id))) ORDER BY fact_key",
            {"dataset": self._dataset, "relations": relations},
        )
        return [key for (key,) in rows.fetchall()]

    def prompts(self, fact: StoredFact) -> list[StoredPrompt]:
        """The fact's prompts that the run's model could be asked, by language and template."""
        return prompts_of(self._connection, self.run_id, facts=[fact.fact_id])

    def knowledge(self, fact: StoredFact, prompts: Sequence[StoredPrompt]) -> Neurons:
        """Knowledge neurons as these prompts alone give them, at the run's thresholds.

        Imported neurons have no raw scores: they are given as they are.
        """
        asked = {
            "prompts": [prompt.prompt_id for prompt in prompts],
            "runs": [self.run_id],
            "facts": [fact.fact_id],
            "tau": None,
            "share": None,
        }
        rows = self._connection.execute(_FOUND_WITH, asked).fetchall()
        if not rows:
            rows = self._imported(fact)
        return _by_lang(rows)

    def _imported(self, fact: StoredFact) -> list[tuple[str, int, int]]:
        raw = self._connection.execute(
            "SELECT 1 FROM attribution WHERE run_id = ? LIMIT 1", [self.run_id]
        ).fetchall()
        if raw:
            return []
        return self._connection.execute(_IMPORTED, [self.run_id, fact.fact_id]).fetchall()

    def strongest(self, prompts: Sequence[StoredPrompt], n: int) -> Neurons:
        """The ``n`` neurons of the highest scores over all layers, in each language."""
        ids = [prompt.prompt_id for prompt in prompts]
        return _by_lang(self._connection.execute(_STRONGEST, [self.run_id, ids, n]).fetchall())

    def degenerate(self, fact: StoredFact) -> Neurons:
        """The neurons of the fact's degenerate sets, as the run's newest search found them."""
        search = newest_search(self._connection, self.run_id)
        if search is None:
            return {}
        rows = self._connection.execute(_DEGENERATE, [search.search_id, fact.fact_id]).fetchall()
        return _by_lang(rows)

    def object_named(self, label: str, lang: str, relation_id: str) -> str | None:
        """The object of that label in that language, of the relation first; None: unknown."""
        asked = {"dataset": self._dataset, "lang": lang, "label": label, "relation": relation_id}
        row = self._connection.execute(_OBJECTS, asked).fetchone()
        return None if row is None else str(row[0])

    def labels(self, object_id: str, relation_id: str) -> Labels:
        """What the object is called; facts of the relation say it first."""
        asked = {"dataset": self._dataset, "object": object_id, "relation": relation_id}
        rows = self._connection.execute(_LABELS, asked).fetchall()
        # The last one stands: of the relation, and the most frequent.
        return Labels(
            object_id,
            {lang: answer for lang, _, answer, _, _ in rows},
            {(lang, template): answer for lang, template, answer, _, _ in rows},
        )

    def shared(self, fact: StoredFact, share: float) -> frozenset[Neuron]:
        """Neurons of many facts, in any language.

        They are knowledge neurons of more than this share of the run's facts of other relations.
        """
        asked = {"run": self.run_id, "relation": fact.relation_id, "share": share}
        rows = self._connection.execute(_SHARED, asked).fetchall()
        return frozenset(Neuron(*row) for row in rows)

    def layer(self, layer: int) -> tuple[Neuron, ...]:
        """Every neuron of a layer.

        Raises:
            UsageError: the run's model has no such layer.
        """
        ((n_layers, n_neurons),) = self._connection.execute(_LAYERS, [self.run_id]).fetchall()
        if layer >= n_layers:
            raise UsageError(f"The model has no layer {layer}; it has {n_layers}, counted from 0.")
        return tuple(Neuron(layer, index) for index in range(n_neurons))

    def objects(self, relation_id: str) -> frozenset[str]:
        """The objects of a relation's facts in the data set."""
        rows = self._connection.execute(_OBJECTS_OF, [relation_id, self._dataset]).fetchall()
        return frozenset(object_id for (object_id,) in rows)

    def others(
        self,
        fact: StoredFact,
        objects: Sequence[str],
        n: int,
        seed: int,
        *,
        same_relation: bool,
        exclude: Sequence[int] = (),
    ) -> list[StoredPrompt]:
        """One prompt in each language of ``n`` facts with other objects, drawn by the seed.

        Args:
            fact: the fact that they are other than.
            objects: objects that they must not have, besides the fact's.
            n: at most this many facts.
            seed: of the draw.
            same_relation: facts of the same relation, or of other relations only.
            exclude: ids of facts not to draw.
        """
        asked = {
            "relation": fact.relation_id,
            "same": same_relation,
            "objects": [fact.object_id, *objects],
            "fact": fact.fact_id,
            "exclude": list(exclude),
            "run": self.run_id,
            "seed": str(seed),
            "n": n,
        }
        ids = [prompt_id for (prompt_id,) in self._connection.execute(_OTHERS, asked).fetchall()]
        found = prompts_of(self._connection, self.run_id, prompts=ids)
        return sorted(found, key=lambda prompt: prompt.prompt_id)


def _by_lang(rows: Sequence[tuple[str, int, int]]) -> Neurons:
    found: Neurons = {}
    for lang, layer, index in rows:
        found.setdefault(lang, []).append(Neuron(layer, index))
    return found
