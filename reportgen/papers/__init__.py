"""What a paper needs beside figures: LaTeX tables, references, methods in words, a model card."""
