"""Reading data row by row: filters, search, lineage; what the dashboard shows, without the web."""
