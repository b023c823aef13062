"""The report as data: what every other part reads or writes."""
