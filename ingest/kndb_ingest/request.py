"""A request to ingest a fact set, checked before a model is loaded: no torch is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kndb.attribution.settings import Settings, preset
from kndb.crew.placement import Placement, check_placement
from kndb.errors import UsageError
from kndb.models.choice import ModelChoice
from kndb.store.database import check_creatable
from kndb.store.lookup import Names, several
from kndb.store.refine import DEFAULT_SHARE, DEFAULT_TAU, check_thresholds
from kndb.store.shards import Shard
from kndb_ingest.datasets import Dataset, read_dataset
from kndb_ingest.demo import facts_path
from kndb_ingest.prompts import check_usable


@dataclass(frozen=True)
class IngestRequest(Placement):
    """A request to ingest a fact set: data, model, database and settings.

    Attributes:
        database: the database's path, which may be given as text; created if it does not exist.
        model: the model, and how it is loaded; a name by itself is a model with the defaults.
        dataset: a folder or file, or ``demo`` for the embedded one.
        preset: name of the attribution preset.
        langs: a language to take, or several; all when empty.
        relations: a relation to take, or several; all when empty.
        limit: number of facts.
        templates: number of templates per relation and language.
        seed: seed of the draw of facts.
        tau: share of a prompt's highest score above which a neuron is selected.
        share: share of a fact's prompts in which a knowledge neuron is selected.
        tolerance: largest relative error of the scores; the preset's when None.
        max_nodes: most nodes of a path, refinement included; the preset's when None.
        known: attribute only prompts whose answer is among this many of the model's likeliest;
            all when None.
        words: store what each word of a prompt contributes, too. The run is then another one.
        keep: ``top`` stores a prompt's highest scores, all above 5 % of the highest; ``all`` stores
            the score of every neuron, too, in Parquet files beside the database. The run is then
            another one.
        directions: store the tokens that each knowledge neuron pushes up and down most, too. The
            run stays the same.
        shard: the part of the facts to work on, such as ``1/4``; all when None. Shards can be
            ingested apart, and merged (:func:`kndb.store.merging.merge`).
        devices: a process for each of them runs the model: ``auto`` for all GPUs, or ``0``, ``1``
            and so on, or names such as ``cuda:0`` and ``cpu``; the model's own device when empty.
        cluster: where the model runs; on this machine when None.
    """

    database: Path
    model: ModelChoice
    dataset: str
    preset: str = "amig"
    langs: Names = ()
    relations: Names = ()
    limit: int | None = None
    templates: int | None = None
    seed: int = 0
    tau: float = DEFAULT_TAU
    share: float = DEFAULT_SHARE
    tolerance: float | None = None
    max_nodes: int | None = None
    known: int | None = None
    words: bool = False
    keep: str = "top"
    directions: bool = False
    shard: str | None = None

    @cached_property
    def part(self) -> Shard | None:
        """The shard.

        Raises:
            UsageError: it is none.
        """
        return None if self.shard is None else Shard.parse(self.shard)

    def __post_init__(self) -> None:
        """Take text for what is usually written as text.

        Raises:
            UsageError: a language or relation is not text.
        """
        super().__post_init__()
        given = {"database": Path(self.database), "langs": tuple(several(self.langs))}
        given["relations"] = tuple(several(self.relations))
        if isinstance(self.model, str):
            given["model"] = ModelChoice(self.model)
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def every_score(self) -> bool:
        """Whether the score of every neuron is stored."""
        return self.keep == "all"

    @cached_property
    def data(self) -> Dataset:
        """The selected part of the data set, read when it is first needed.

        Raises:
            DatasetError: the data cannot be read.
            UsageError: an option of the selection is wrong.
        """
        return read_dataset(
            facts_path() if self.dataset == "demo" else self.dataset,
            langs=several(self.langs),
            relations=several(self.relations),
            limit=self.limit,
            templates=self.templates,
            seed=self.seed,
        )

    def check(self) -> None:
        """Refuse what can be seen to be wrong without the model, in less than a second and a read.

        Raises:
            DatabaseError: the database cannot be made, or is something else.
            DatasetError: the data cannot be read, or no prompt of them can be used.
            ModelError: there is no such folder or file.
            UsageError: an option is wrong.
        """
        check_thresholds(self.tau, self.share)
        if self.known is not None and self.known < 1:
            raise UsageError(f"--known counts ranks from 1; {self.known} was given.")
        if self.keep not in ("top", "all"):
            raise UsageError(f"--keep is top or all; {self.keep!r} was given.")
        for family in ("masked_lm", "causal_lm"):
            settings = self.settings(family)
            if self.words and settings.baseline != "words":
                raise UsageError(
                    f"With the preset {self.preset}, paths do not start at words; --words needs "
                    "amig or amig-paper."
                )
        _ = self.part
        check_placement(self)
        self.model.check()
        check_creatable(self.database)
        check_usable(self.data.name, self.data.prompts)

    def settings(self, family: str) -> Settings:
        """The engine's settings for a family of models.

        Raises:
            UsageError: an unknown preset, or an option that does not go with it.
        """
        return preset(self.preset, family).changed(
            tolerance=self.tolerance, max_nodes=self.max_nodes
        )

    def run_settings(self, settings: Settings) -> dict[str, Any]:
        """The settings that distinguish this run from others of the same model and data.

        Device, memory, cluster and shard are not among them, nor are thresholds, which apply to
        stored scores.
        """
        known = {} if self.known is None else {"known": self.known}
        return {
            "preset": self.preset,
            **settings.as_dict(),
            "dtype": self.model.dtype,
            "langs": sorted(self.langs),
            "relations": sorted(self.relations),
            "limit": self.limit,
            "templates": self.templates,
            "seed": self.seed if self.limit is not None else None,
            **known,
            **({"words": True} if self.words else {}),
            **({"keep": self.keep} if self.every_score else {}),
        }
