"""OpenLineage run events (spec 2-0-2) as events of pipelines and of data quality. Pure.

`run_event` reads them, `runs` and `checks` say what they mean. One run event says the same thing whether it
comes in a file or over HTTP: ids follow from the run, so that what comes twice, by either way, counts once.
"""
