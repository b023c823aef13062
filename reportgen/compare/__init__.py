"""Two or more saved reports to what changed between them; knows no network and no HTML."""
