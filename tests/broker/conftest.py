"""Peers that warn when they are imported are imported here, once: warnings stay errors for everything else.

kafka-python reads its message definitions through a function of importlib that Python 3.11 deprecates.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import aiokafka  # noqa: F401 - see above
    import kafka
    import kafka.protocol.consumer.metadata  # noqa: F401 - see above
