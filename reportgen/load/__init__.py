"""Files to networks and images. Knows formats; runs neither the network nor code in a file."""
