"""What a network's output means, in words, and when a class counts as said."""

SAID = 0.5
"Probability above which a class is said that is not one of several."

GIVES = {
    "classify": "one class of several",
    "multilabel": "several classes at once",
    "regress": "values",
    "segment": "a map of scores for each class",
    "detect": "boxes around objects",
}
"What a network gives, by its task."


def chooses_none(task: str, classes: int) -> bool:
    """Whether a class is said or not by itself, and none is chosen among several."""
    return task == "multilabel" or (task != "regress" and classes == 1)
