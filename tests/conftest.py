"""Where the sample models are, and a report built once from the smallest of them."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLES = Path(__file__).parent.parent / "sample_models"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample models and images."""
    return SAMPLES
