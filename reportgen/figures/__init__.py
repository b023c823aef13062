"""Draws: plain data to SVG, PNG and PDF. The only importer of matplotlib and seaborn."""
