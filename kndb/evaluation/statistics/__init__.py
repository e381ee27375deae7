"""Bootstrap intervals and the measures they are taken of. Knows neither models nor databases."""
