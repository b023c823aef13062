"""Runs the network, watches it, and gives it back as it was found."""
