"""What services must have come to, computed again and otherwise: SQL in DuckDB over the raw log.

`events` has the log as a table; every other module has the claims about one service. Nothing here calls the
code that it judges: it reads the service's own tables and compares them with the answer of a query.
"""
