"""Files to networks and images. Knows formats, never runs the network, never runs code from a file."""
