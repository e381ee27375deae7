"""From raw scores to knowledge neurons, in SQL. This is the only definition.

Of each prompt the neurons with ``score > tau * highest score`` over all layers are selected (none
where the highest is not above 0). A fact's knowledge neurons in a language are those selected in
more than a share ``share`` of its done prompts; of a single prompt, all. Their ``score`` is the
mean over the prompts that select them, their ``support`` the share of prompts that do.
Source: Dai et al. 2022, section 3.3, with the thresholds of Chen et al. 2024.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real

from kndb.errors import UsageError

DEFAULT_TAU = 0.2
"""Share of a prompt's highest score above which a neuron is selected (Dai et al. 2022)."""

DEFAULT_SHARE = 0.5
"""Share of a fact's prompts in which a knowledge neuron is selected."""

RAW_FLOOR = 0.05
"""Raw scores at or below this share of their prompt's highest are not all stored."""


def one_of(column: str, values: Iterable[int]) -> str:
    """SQL for a column that has one of these values.

    They are written out, because DuckDB skips rows by constants, but reads all to search a list.

    >>> one_of("run_id", [7, 8]), one_of("layer", [])
    ('run_id IN (7, 8)', 'layer IN (NULL)')
    """
    return f"{column} IN ({', '.join(map(str, values)) or 'NULL'})"


def stored(runs: Iterable[int], table: str = "knowledge_neuron") -> str:
    """SQL for the rows of ``knowledge_neuron`` as they were stored when these runs finished.

    Args:
        runs: their ids.
        table: ``knowledge_neuron``, or ``knowledge_by_neuron`` for the same rows in another order.
    """
    return f"SELECT * FROM {table} WHERE {one_of('run_id', runs)}"


_REFINED = f"""
    WITH done AS (
        SELECT prediction.run_id, prompt_id, fact_id, lang,
               count(*) OVER (PARTITION BY prediction.run_id, fact_id, lang) AS n_prompts
        FROM prediction JOIN {{prompts}} USING (prompt_id)
        WHERE prediction.status = 'done' AND list_contains($runs, prediction.run_id)
    ), top AS (
        SELECT prompt_id, run_id, CAST(max(score) AS DOUBLE) AS highest
        FROM attribution SEMI JOIN done USING (prompt_id, run_id)
        GROUP BY prompt_id, run_id
    ), bar AS (
        SELECT done.*, coalesce($tau, run.tau, {DEFAULT_TAU}) * highest AS threshold,
               coalesce($share, run.share, {DEFAULT_SHARE}) * n_prompts AS enough
        FROM done JOIN top USING (prompt_id, run_id) JOIN run USING (run_id)
        WHERE highest > 0
    )
    SELECT run_id, fact_id, lang, layer, neuron, avg(CAST(score AS DOUBLE)) AS score,
           count(*) / any_value(n_prompts) AS support
    FROM attribution JOIN bar USING (prompt_id, run_id)
    WHERE score > threshold
    GROUP BY run_id, fact_id, lang, layer, neuron
    HAVING any_value(n_prompts) = 1 OR count(*) > any_value(enough)
"""
# The prompt before the run, because what fails on the first column is not looked at in the second:
# of a thousand million rows DuckDB then loads 12 MiB less of bounds.
REFINED = _REFINED.format(prompts="prompt")
"""Rows of ``knowledge_neuron``. Parameters: ``runs``, a list of ids, ``tau`` and ``share`` (null:
as the run was refined, or the defaults)."""

REFINED_OF_FACTS = _REFINED.format(
    prompts="(prompt JOIN (SELECT unnest(list_distinct($facts)) AS fact_id) USING (fact_id))"
)
"""The same of some facts only. Parameter ``facts``: a list of ids. They are joined, as DuckDB takes
``IN`` for many ids and puts all predictions into a table before it looks for theirs."""


REFINED_OF_RANGE = _REFINED.format(prompts="(FROM prompt WHERE fact_id BETWEEN $first AND $last)")
"""The same of facts whose ids are from ``first`` to ``last``."""


def check_thresholds(tau: float | None, share: float | None) -> None:
    """Refuse thresholds that have no exact answer.

    Raises:
        UsageError: ``tau`` is not in [0.05, 1), where all needed raw scores are stored, or
            ``share`` is not in [0, 1).
    """
    for name, value in (("tau", tau), ("share", share)):
        if value is not None and not isinstance(value, Real):
            raise UsageError(f"{name} is {value!r:.40}, but must be a number.")
    if tau is not None and not RAW_FLOOR <= tau < 1:
        raise UsageError(
            f"tau is {tau:g}, but must be at least {RAW_FLOOR:g} and below 1: "
            "lower scores are not all stored."
        )
    if share is not None and not 0 <= share < 1:
        raise UsageError(f"share is {share:g}, but must be at least 0 and below 1.")
