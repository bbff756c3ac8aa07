"""Examines how a service, with its real configuration, stands to its cluster and its store.

`run` composes the checks. Each family of checks has a module of its own, in which what is asked of the world
is apart from what is made of the answers. Nothing here joins a group, writes a record or creates anything.
"""
