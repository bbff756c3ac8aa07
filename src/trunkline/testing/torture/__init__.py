"""Publishers, consumers and brokers of their own, hurt on a seeded schedule, then judged.

`schedule` says which fault strikes when, `run` carries it out on processes of their own, and `verdict` holds
what the publishers wrote down against the log, the effects and the failure ledger.
"""
