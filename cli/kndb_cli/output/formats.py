"""The formats in which commands print rows."""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal["table", "json", "jsonl", "csv", "md", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
