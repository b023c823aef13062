"""Conditions on the numbers of a report that make a command fail: `--fail-on "dead>5%"`."""
