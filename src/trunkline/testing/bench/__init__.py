"""Benchmarks: the codec, the embedded broker and the client, each beside a peer in the same run."""
