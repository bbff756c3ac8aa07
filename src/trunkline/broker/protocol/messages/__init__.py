"""The messages of the published Kafka protocol, line 4.3, one module a family."""
