"""Hides one part of an image after the other, and measures what the network loses."""
