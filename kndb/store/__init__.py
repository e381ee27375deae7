"""The DuckDB store: schema, opening, writing, reading. Knows neither models nor attribution."""
