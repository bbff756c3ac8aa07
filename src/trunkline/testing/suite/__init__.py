"""One suite for every service: the same state after any order, repetition and crash, none after an erasure.

`cases/` has one module a service; `streams` makes what the topics hold, `harness` gives it to a service.
"""
