"""Report to pages through Jinja2. Knows nothing of torch."""
