"""Charts as inline SVG, made here. Their colours come from the style sheet; they need no script."""
