"""The protocol's messages, one module a family. Field facts come from the published Kafka protocol, line 4.3."""
