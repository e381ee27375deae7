"""The SQL behind lists of knowledge neurons. ``kndb.store.knowledge`` puts it together."""

from __future__ import annotations

from kndb.store.matching import NEAREST

KNOWLEDGE = """
    WITH refined AS {source},
    knowledge AS NOT MATERIALIZED (
        SELECT * FROM refined {knowledge}
    ),
    asked AS NOT MATERIALIZED (SELECT * FROM knowledge {asked})
"""
"""``knowledge``: the neurons of the selected facts and runs; ``asked``: of these, those meant.

Stored neurons are read wherever one of the two is used, with its conditions; refining is done once.
A page of them is read apart from counting, which needs three columns only.
"""

# Joins, because DuckDB skips what they cannot match in sorted tables, and list_contains reads all.
# They need the types of the columns, as what is cast is not skipped.
OF_FACTS = {
    "facts": "fact_id IN (SELECT unnest($facts))",
    "relations": """fact_id IN (
        SELECT fact_id FROM fact WHERE list_contains($relations, relation_id))""",
}
OF_NEURONS = {
    "langs": "list_contains($langs, lower(lang))",
    "neurons": """(layer, neuron) IN (
        SELECT TRY_CAST(split_part(name, ':', 1) AS SMALLINT),
               TRY_CAST(split_part(name, ':', 2) AS INTEGER)
        FROM (SELECT unnest($neurons) AS name))""",
}

# Lists, because string_agg takes seconds for hundreds of thousands of neurons. Names are looked up
# apart, because DuckDB tries many orders of the joins of a SELECT: 12 ms for seven, 1 ms for four.
# The facts go through a list, because DuckDB expects few rows of one; else it may hash all facts.
ROWS = """
    , {reached}
    every AS MATERIALIZED (FROM asked {shown}),
    meant AS {page},
    shared AS (
        SELECT run_id, fact_id, layer, neuron, count(*) AS n_langs,
               array_to_string(list_sort(list(lang)), ',') AS langs
        FROM knowledge SEMI JOIN meant USING (run_id, fact_id, layer, neuron)
        GROUP BY run_id, fact_id, layer, neuron
    ),
    recalled AS (SELECT unnest(list(DISTINCT fact_id)) AS fact_id FROM meant),
    named AS MATERIALIZED (
        SELECT fact_id, lang, min(subject) AS subject, min(answer) AS answer,
               any_value(fact_key) AS fact_key, any_value(relation.label) AS relation
        FROM prompt SEMI JOIN meant USING (fact_id, lang)
        JOIN (FROM {facts} SEMI JOIN recalled USING (fact_id)) USING (fact_id)
        JOIN relation USING (relation_id)
        GROUP BY fact_id, lang
    ),
    ran AS MATERIALIZED (
        SELECT run_id, model.name AS model FROM run JOIN model USING (model_id)
    )
    SELECT fact_key, relation, lang, subject, answer, layer, neuron, score, support, n_langs, langs,
           model, run_id, (SELECT {total}) AS total
    FROM meant
    JOIN shared USING (run_id, fact_id, layer, neuron)
    JOIN named USING (fact_id, lang)
    JOIN ran USING (run_id)
    ORDER BY fact_key, fact_id, lang, model, run_id, score DESC NULLS LAST, layer, neuron
"""
PAGE = """MATERIALIZED (
        SELECT every.* FROM every
        JOIN {facts} USING (fact_id)
        JOIN run USING (run_id)
        JOIN model USING (model_id)
        ORDER BY fact_key, fact_id, lang, model.name, run_id, score DESC NULLS LAST, layer, neuron
        {cut}
    )"""
"""The rows that are wanted, in the order of all; their labels are read afterwards."""

REACHED = """
    sized AS MATERIALIZED ({sizes}),
    reached AS MATERIALIZED (
        SELECT fact_id, fact_key, relation_id FROM sized JOIN fact USING (fact_id)
        QUALIFY {last} > coalesce(sum(n) OVER (
            ORDER BY fact_key, fact_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0)
    ),
"""
"""The facts up to the end of the page: counting rows is cheaper than sorting them. Their keys
and relations go along, so that a page does not read ``fact`` again."""

SIZES = "SELECT fact_id, count(*) AS n FROM asked GROUP BY fact_id"
SIZES_OF_TOP = """
    SELECT fact_id, sum(least(n, $top)) AS n
    FROM (SELECT run_id, fact_id, lang, count(*) AS n FROM asked GROUP BY run_id, fact_id, lang)
    GROUP BY fact_id
"""
TOP = """
    QUALIFY $top >= row_number() OVER (
        PARTITION BY run_id, fact_id, lang ORDER BY score DESC NULLS LAST, layer, neuron
    )
"""

NEURONS = """
    , spoken AS MATERIALIZED (
        SELECT run_id, layer, neuron, lang, count(*) AS n, sum(CAST(score AS DOUBLE)) AS sum_score
        FROM asked GROUP BY run_id, layer, neuron, lang
    ),
    known AS MATERIALIZED (
        SELECT run_id, layer, neuron, count(*) AS n_langs,
               array_to_string(list_sort(list(lang)), ',') AS langs,
               sum(sum_score) / sum(n) AS score, max(n) AS least, sum(n) AS most
        FROM spoken GROUP BY run_id, layer, neuron
    ),
    candidate AS MATERIALIZED (FROM known {candidates}),
    recalled AS MATERIALIZED (
        SELECT DISTINCT run_id, layer, neuron, fact_id
        FROM asked SEMI JOIN candidate USING (run_id, layer, neuron)
    ),
    used AS (
        SELECT run_id, layer, neuron, count(*) AS n_facts
        FROM recalled GROUP BY run_id, layer, neuron
    ),
    page AS MATERIALIZED (
        SELECT candidate.*, n_facts, model_id, model.name AS model
        FROM used
        JOIN candidate USING (run_id, layer, neuron)
        JOIN run USING (run_id)
        JOIN model USING (model_id)
        {page}
    ),
    related AS (
        SELECT DISTINCT run_id, layer, neuron, relation_id
        FROM recalled SEMI JOIN page USING (run_id, layer, neuron) JOIN fact USING (fact_id)
    ),
    counted AS (
        SELECT run_id, layer, neuron, count(*) AS n_relations
        FROM related GROUP BY run_id, layer, neuron
    )
    SELECT layer, neuron, n_facts, n_relations, n_langs, langs, score, {tokens} model, run_id,
           {total} AS total
    FROM page JOIN counted USING (run_id, layer, neuron) {directions}
    {order}
"""
"""``known`` is cheap: counts per language. Facts and relations are counted only of neurons that
may be on the page: to count facts, their languages must be told apart."""

DIRECTIONS = """
    LEFT JOIN (
        SELECT model_id, layer, neuron,
               array_to_string(list(token ORDER BY rank) FILTER (rank > 0), ' · ') AS promotes,
               array_to_string(list(token ORDER BY -rank) FILTER (rank < 0), ' · ') AS suppresses
        FROM neuron_direction SEMI JOIN page USING (model_id, layer, neuron)
        GROUP BY model_id, layer, neuron
    ) USING (model_id, layer, neuron)
"""
NEURON_COLUMNS = ("layer", "neuron", "n_facts", "n_relations", "n_langs", "langs", "score")
MOST_FACTS_FIRST = "model, run_id, n_facts DESC, score DESC NULLS LAST, layer, neuron"
BY_PLACE = "run_id, layer, neuron"

LIKELIEST = """
    QUALIFY most >= coalesce(
        nth_value(least, {last}) OVER (
            PARTITION BY run_id ORDER BY least DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ), 0)
"""
"""Neurons that can be among the first of their run. A neuron has at least as many facts as in its
main language, and at most as many as in all languages together."""

SPOKEN = """
    SELECT word_attribution.*, prompt.fact_id, prompt.lang,
           CAST(NULL AS INTEGER) AS layer, CAST(NULL AS INTEGER) AS neuron
    FROM word_attribution JOIN prompt USING (prompt_id)
    WHERE list_contains($runs, run_id)
"""
"""The words of prompts, in place of neurons."""

WORDS = """
    SELECT fact_key, asked.lang, text, answer, p_answer, position, word, contribution, by_layer,
           model.name AS model, run_id
    FROM asked
    JOIN prompt USING (prompt_id)
    JOIN prediction USING (run_id, prompt_id)
    JOIN fact ON fact.fact_id = asked.fact_id
    JOIN run USING (run_id)
    JOIN model USING (model_id)
    ORDER BY model, run_id, fact_key, asked.fact_id, asked.lang, text, prompt_id, position
"""

FACT_LANGS = "SELECT DISTINCT fact_id, lang FROM asked"

LANGS = "SELECT DISTINCT lang FROM knowledge ORDER BY lang"

RUNS = "SELECT DISTINCT run_id FROM asked"

MOST_USED = f"""
    SELECT layer || ':' || neuron FROM knowledge
    WHERE $langs IS NULL OR list_contains($langs, lower(lang))
    GROUP BY layer, neuron ORDER BY count(DISTINCT fact_id) DESC, layer, neuron
    LIMIT {NEAREST}
"""
