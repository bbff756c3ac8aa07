"""The Kafka wire protocol: typed messages, their codec, headers, error codes and record batches."""
