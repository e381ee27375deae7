"""What a browser may load for a page: this site's own scripts, styles and data, nothing inline."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'"
)
"""The content security policy, but for ``frame-ancestors``, which only a header can say."""
