"""Adding partitions to a topic without any tenant's events changing their order.

A tenant's partition is a hash of its id modulo the number of partitions, so more partitions move tenants. An
event on the new partition could then be processed before older ones that still wait on the old partition.

Theory of operation. A growth goes through stages, each written to the journal before the next begins:

    fenced ──> drained ──> grown ──> released
       └──────────┴──> abandoned

- fenced: the topic is being closed. Its `max.message.bytes` becomes 0, and every leader refuses every
  append, whoever it comes from. A refused event is certainly not in the log; publishers hold it and try it
  again.
- drained: every group has committed up to the barriers, the ends of the partitions behind the fence. The
  partitions are added now.
- grown: the partitions are there, every publisher's lease on the old number has run out, and the barriers
  are final. The topic is opened now.
- released: publishers go on. Abandoned: the topic was opened again and never grew.

A number that grows to a multiple of itself moves a tenant to a new partition or not at all (h mod kn is h mod
n plus a multiple of n). That is why only multiples are taken: a tenant never moves to a partition with a
past.

Groups that are behind when the topic grows (new ones, stopped ones, those that read again from the beginning)
are held by the consumers themselves: a partition that a growth has added starts only when the group's
position in all older ones has reached the barriers (`trunkline.client.starts`).

Why nothing is appended behind the barriers. The brokers learn of the fence from Kafka's metadata log, one by
one; each is asked, by its id, until all of them know. A broker knows a moment before its open logs do, and an
append that had been checked may still be on its way into the log: the ends are read a moment later,
with all replicas in sync, so that the high watermark has reached the end of the log. What an unlucky append
adds even after that is caught: the ends are read again before the topic is opened, at least a publisher's
lease later, and those are the barriers that count. What stays is a follower that answers us, is listed as in
sync, and fetches nothing from its leader for all that time.

Why nobody publishes by the old number. Once the partitions are added the fence is set anew, to another value
that closes as well. The metadata log has one order, so a broker that reports the new value also tells
publishers the new number of partitions; from then on the fence stays for `PARTITIONS_LEASE_SECONDS`, which no
publisher outlives without asking before it hands anything over. What it had handed over before may still get
into the log when it, or its connection, was frozen for all that time: behind the barriers, by the old number.
Its acknowledgement then comes after the lease. The publisher asks again before it tells of it, and sends the
event once more to where its tenant is now, before any later one (`trunkline.client.lanes`): consumers process
what they meet first, and the other copy not at all.
"""
