"""The durable log of the embedded broker, and its format on disk (version 1).

A partition is a directory `TOPIC-PARTITION/` with

    00000000000000000000.log          a segment: record batches back to back, named by its first offset
    00000000000000000000.index        offset to position, sparse; a cache
    00000000000000000000.timeindex    timestamp to offset, sparse; a cache
    trunkline.checkpoint              up to where everything is known to be on disk; see below

**The first three are Apache Kafka's own formats.** A segment holds the batches (record format v2, magic 2)
byte for byte as the producer sent them, but for the base offset and the leader epoch, which the log fills
in, so that `kafka-dump-log` reads a directory as it is and consumers get what producers compressed. What
differs from Kafka:

- There is no `.snapshot` of producers and no `leader-epoch-checkpoint`; both are in `trunkline.checkpoint`,
  so that one atomic replacement keeps them and the recovery point in agreement.
- Index files are written when a segment is finished, at a checkpoint and at shutdown, not preallocated.
- A segment may contain a damaged range that was kept (see `recovery`); its offsets are missing, as after
  compaction.

**The checkpoint** is a line with the CRC-32C of the rest in hexadecimal, then JSON
(`checkpoint.Checkpoint`): log start offset, recovery point (offset, segment, byte position), leader epochs
with their first offsets, known damage, idempotent producers as of the recovery point. It is replaced
atomically each `checkpoint_interval_bytes`, when a segment is finished, after a deletion and at shutdown.
Deleting it costs a full scan, nothing else: unless records were deleted inside a segment, which then are
back.

**What is promised.** An acknowledgement means that `fdatasync` has returned (`commit`); nothing is readable
before. A crash loses nothing acknowledged. Any change to this format raises `datafile.FORMAT_VERSION` and
comes with the migration from the version before it.

The files, from below: `fs` (the port to the device) and `memory_fs`; `segment` and `index`; `checkpoint`,
`producers`; `scanning` and `recovery`; `admission`, `flushing`, `old_segments`, `times`; `partition`, which
is all that the rest of the broker uses, with `commit` for its acknowledgements.
"""
