"""Configuration on every instance of every service: read whole from the topic, resolved in memory.

Every instance reads all partitions of `config.change.events` without a group. Per setting the highest version
wins, so that any order and any repetition of the same events ends in the same state, and a digest of that
state shows when it does not.
"""
