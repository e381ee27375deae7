"""Adds overlaps and degenerate sets, and allows knowledge neurons without a score."""

from alembic import op
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    SmallInteger,
    Text,
)

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _allow_imported_neurons()
    _create_overlap()
    _create_degenerate_searches()
    _create_degenerate_sets()


def _allow_imported_neurons() -> None:
    for column, comment in (
        ("score", "Mean score over the prompts that select the neuron; empty if imported."),
        ("support", "Share of the done prompts that select the neuron; empty if imported."),
    ):
        op.alter_column("knowledge_neuron", column, nullable=True)
        op.execute(f"COMMENT ON COLUMN knowledge_neuron.{column} IS '{comment}'")


def _create_overlap() -> None:
    op.create_table(
        "neuron_overlap",
        Column(
            "overlap_id",
            BigInteger,
            nullable=False,
            comment="Hash of run and settings; asking again replaces its rows.",
        ),
        Column("run_id", BigInteger, nullable=False, comment="The run."),
        Column(
            "level",
            Text,
            nullable=False,
            comment="What a row is about: fact, relation or language-pair.",
        ),
        Column(
            "relation_id",
            Text,
            nullable=True,
            comment="The relation; empty for all relations together.",
        ),
        Column(
            "fact_id",
            BigInteger,
            nullable=True,
            comment="The fact; empty where a row is about several.",
        ),
        Column("langs", Text, nullable=False, comment="Languages compared, sorted: en,zh."),
        Column("n_langs", Integer, nullable=False, comment="Number of languages compared."),
        Column(
            "n_facts",
            BigInteger,
            nullable=False,
            comment="Facts counted: those with at least two languages.",
        ),
        Column(
            "sizes",
            ARRAY(BigInteger),
            nullable=False,
            comment="Knowledge neurons in each language, in their order.",
        ),
        Column(
            "n_shared",
            BigInteger,
            nullable=False,
            comment="Knowledge neurons in all of the languages, fact by fact.",
        ),
        Column(
            "n_union",
            BigInteger,
            nullable=False,
            comment="Knowledge neurons in any of the languages, fact by fact.",
        ),
        Column("jaccard", Double, nullable=True, comment="n_shared / n_union."),
        Column(
            "expected",
            Double,
            nullable=True,
            comment="n_shared expected of random sets of these sizes.",
        ),
        Column(
            "p_value",
            Double,
            nullable=True,
            comment="Chance of at least n_shared; of several facts, a bound.",
        ),
        Column(
            "q_value",
            Double,
            nullable=True,
            comment="p_value corrected for the rows beside it, Benjamini-Hochberg.",
        ),
        Column(
            "n_significant",
            BigInteger,
            nullable=True,
            comment="Facts whose own q_value is at most 0.05.",
        ),
        Column(
            "shared_by_facts",
            Double,
            nullable=True,
            comment="Neurons that two facts of the relation share, mean.",
        ),
        Column(
            "shared_by_facts_expected",
            Double,
            nullable=True,
            comment="The same, expected of random sets.",
        ),
        Column(
            "note",
            Text,
            nullable=True,
            comment="Why there is nothing to compare, or what is missing.",
        ),
        Column("settings", Text, nullable=False, comment="The request, as JSON."),
        comment="Knowledge neurons shared by several languages, against chance.",
    )


def _create_degenerate_searches() -> None:
    op.create_table(
        "degenerate_search",
        Column("search_id", BigInteger, nullable=False, comment="Hash of run and settings."),
        Column(
            "run_id",
            BigInteger,
            nullable=False,
            comment="The run whose knowledge neurons were searched.",
        ),
        Column("settings", Text, nullable=False, comment="All settings of the search, as JSON."),
        Column("status", Text, nullable=False, comment="running, interrupted or finished."),
        Column("started_at", DateTime, nullable=False, comment="When it first started, UTC."),
        Column("finished_at", DateTime, nullable=True, comment="When it finished, UTC."),
        Column("kndb_version", Text, nullable=False, comment="Version of kndb that started it."),
        comment="One search for degenerate sets with one set of settings.",
    )
    op.create_table(
        "degenerate_fact",
        Column("search_id", BigInteger, nullable=False, comment="The search."),
        Column("fact_id", BigInteger, nullable=False, comment="The fact."),
        Column("lang", Text, nullable=False, comment="Language of the prompts."),
        Column(
            "n_neurons", Integer, nullable=False, comment="Knowledge neurons that were searched."
        ),
        Column(
            "n_tried",
            Integer,
            nullable=False,
            comment="Sets of at least two neurons that were suppressed.",
        ),
        Column("n_found", Integer, nullable=False, comment="Sets found degenerate."),
        Column(
            "n_control",
            Integer,
            nullable=False,
            comment="Random sets of the same sizes and layers that were suppressed.",
        ),
        Column("n_control_found", Integer, nullable=False, comment="Random sets found degenerate."),
        Column("status", Text, nullable=False, comment="done or skipped."),
        Column("reason", Text, nullable=True, comment="Why it was skipped, or what was not tried."),
        comment="What a search did for one fact in one language.",
    )


def _create_degenerate_sets() -> None:
    op.create_table(
        "degenerate_set",
        Column("run_id", BigInteger, nullable=False, comment="The run."),
        Column("search_id", BigInteger, nullable=False, comment="The search."),
        Column("fact_id", BigInteger, nullable=False, comment="The fact."),
        Column("lang", Text, nullable=False, comment="Language of the prompts."),
        Column("set_id", BigInteger, nullable=False, comment="The set within its search."),
        Column(
            "kind",
            Text,
            nullable=False,
            comment="degenerate: of knowledge neurons; control: of random neurons.",
        ),
        Column("size", Integer, nullable=False, comment="Number of neurons in the set."),
        Column(
            "drop_share",
            Double,
            nullable=False,
            comment="Drop of the answer's probability when the set is suppressed.",
        ),
        Column(
            "max_subset_drop",
            Double,
            nullable=False,
            comment="Largest drop of a proper non-empty subset.",
        ),
        Column(
            "is_degenerate",
            Boolean,
            nullable=False,
            comment="No subset drops above t_low, and the set above t_high.",
        ),
        Column(
            "p_before",
            Double,
            nullable=False,
            comment="Probability of the answer, mean over the prompts.",
        ),
        Column("p_after", Double, nullable=False, comment="The same with the set suppressed."),
        comment="Sets of neurons that only together carry a fact.",
    )
    op.create_table(
        "degenerate_member",
        Column("search_id", BigInteger, nullable=False, comment="The search."),
        Column("set_id", BigInteger, nullable=False, comment="The set within its search."),
        Column("layer", SmallInteger, nullable=False, comment="Layer of the neuron, from 0."),
        Column(
            "neuron",
            Integer,
            nullable=False,
            comment="Index of the neuron within its layer, from 0.",
        ),
        comment="The neurons of the sets in degenerate_set.",
    )
    op.create_table(
        "degenerate_subset",
        Column("search_id", BigInteger, nullable=False, comment="The search."),
        Column("set_id", BigInteger, nullable=False, comment="The set within its search."),
        Column(
            "members",
            Text,
            nullable=False,
            comment="Neurons of a proper non-empty subset: 2:117,3:5.",
        ),
        Column(
            "drop",
            Double,
            nullable=False,
            comment="Drop of the answer's probability when the subset is suppressed.",
        ),
        comment="How little each subset of a set in degenerate_set matters by itself.",
    )
