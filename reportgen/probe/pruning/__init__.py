"""Which units can be taken out of a network without changing its answers, and taking them out."""
