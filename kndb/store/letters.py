"""SQL that reduces names to what people mean by them, whatever way they type them."""

from __future__ import annotations


def letters(expression: str) -> str:
    """SQL for a text without case and accents: ``Côte d'Ivoire`` → ``cote d'ivoire``."""
    return f"lower(strip_accents({expression}))"


def plain(expression: str) -> str:
    """SQL for a text without case, accents and punctuation: ``Côte d'Ivoire`` → ``cote d ivoire``.

    So prompts match with any kind of mask brackets, with or without a final full stop. The table
    ``prompt`` has the plain forms of subjects and answers; with other ones a migration has to
    make them anew.
    """
    return f"trim(regexp_replace({letters(expression)}, '[\\p{{P}}\\p{{S}}\\s]+', ' ', 'g'))"
