"""What a trained vision network learned, what is wrong with it and how far to trust it."""

from reportgen import probe as probe

__version__ = "0.1.0"
