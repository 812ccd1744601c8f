"""What people do with confluent-kafka-python, one scenario each, against one broker with 4 default partitions.

Usage: scenarios.py HOST:PORT RUN [NAME...], where RUN makes the names of topics and groups unique and NAME is a scenario,
all of them by default. Prints a line for each:
`passed|failed TAB name TAB why`. Whatever a scenario expects is what Apache Kafka does.
"""

import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from confluent_kafka import KafkaException

import admin  # noqa: F401 (registers its scenarios)
import clients  # noqa: F401 (registers its scenarios)
from kit import OPEN, RUN, SCENARIOS, WANTED

AT_ONCE = 8


def play(test):
    OPEN.consumers = []
    try:
        test(f"{test.__name__.replace('_', '-')}-{RUN}")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        line = next(frame.lineno for frame in where if frame.name == test.__name__)
        why = f"line {line}: {type(error).__name__}: {error}".replace("\n", " ").replace("\t", " ")
        # One that is left open holds its partitions, and the thread that it is forgotten in.
        for left in OPEN.consumers:
            with suppress(RuntimeError, KafkaException):
                left.close()
        return f"failed\t{test.__name__}\t{why:.400}"
    return f"passed\t{test.__name__}\t"


with ThreadPoolExecutor(AT_ONCE) as pool:
    for line in pool.map(play, [test for test in SCENARIOS if not WANTED or test.__name__ in WANTED]):
        print(line, flush=True)
