"""The table: what is measured, how it is driven, in what units, and what is aimed at. All else is made of this."""

from dataclasses import dataclass

import drives

KAFKAS = ("kafka", "kafka-sync")
FSYNC, OS, KAFKA = "ottla", "ottla-os", "kafka"


@dataclass(frozen=True)
class Measure:
    """A column of numbers that a figure brings."""

    key: str
    unit: str
    digits: int = 0
    more_is_better: bool = True


@dataclass(frozen=True)
class Target:
    """Ottla's value, or its ratio to that of another broker or figure, is at least or at most `bound`."""

    measure: str
    sign: str
    bound: float
    # A broker, or the name of a figure on the same broker; the bound is the value itself where there is none.
    of: str = ""
    subject: str = FSYNC


@dataclass(frozen=True)
class Figure:
    name: str
    group: str
    title: str
    client: str
    drive: object
    measures: tuple
    targets: tuple = ()
    # Needs a broker that serves reads.
    reads: bool = False
    # Measured on a broker that has done nothing yet.
    cold: bool = False
    # Brokers that don't take part; the report says so.
    without: tuple = ()
    # Measured in the first round only: what takes minutes, or brings several values at a time.
    once: bool = False
    # Looks after its own processes and topics.
    alone: bool = False
    # Says something about the machine, not about a broker.
    of_machine: bool = False


MB_S = Measure("mb_s", "MB/s")
RECORDS_S = Measure("records_s", "records/s")
CPU_GB = Measure("cpu_s_gb", "broker CPU s/GB", 2, False)
CPU_RECORD = Measure("cpu_us_record", "broker CPU µs/record", 2, False)
BYTES = (MB_S, CPU_GB)
RECORDS = (RECORDS_S, CPU_RECORD)
ACKNOWLEDGED = tuple(Measure(key, f"{text} ms", 2, False) for key, text in
                     [("p50_ms", "p50"), ("p99_ms", "p99"), ("p999_ms", "p99.9")])  # fmt: skip
ARRIVED = tuple(Measure(f"end_to_end_{m.key}", f"end to end {m.unit}", 2, False) for m in ACKNOWLEDGED)
DISK = tuple(Measure(f"{way}_{size}", f"{text}: {what}", digits, not latency) for way, text in
             [("buffered", "page cache, appended"), ("direct", "direct, appended"), ("again", "direct, written over")]
             for size, what, digits, latency in
             [("4k_ms", "4 KiB p50 ms", 2, True), ("64k_ms", "64 KiB p50 ms", 2, True),
              ("1m_mb_s", "1 MiB MB/s", 0, False), ("4m_mb_s", "4 MiB MB/s", 0, False)])  # fmt: skip


def at_least(measure, bound, of="", subject=FSYNC):
    return Target(measure, "≥", bound, of, subject)


def at_most(measure, bound, of="", subject=FSYNC):
    return Target(measure, "≤", bound, of, subject)


LIBRDKAFKA, PERF_TOOLS, LOAD, BENCH = "librdkafka", "Kafka's tools", "load", "bench"
READ, LATE, MANY = "read", "latency", "partitions"

FIGURES = [
    Figure("disk", "disk", "the disk alone, a sync after each write", LOAD, drives.disk, DISK, of_machine=True),
    Figure("idle", "rest", "idle", BENCH, drives.idle,
           (Measure("rss_mb", "resident MB", 1, False), Measure("cpu_percent", "CPU %", 3, False)),
           (at_most("rss_mb", 12), at_most("cpu_percent", 0.1)), cold=True, once=True),
    Figure("produce-1k", "produce", "1 KiB, 1 producer", LIBRDKAFKA, drives.produce(1024, 1, gb=2), BYTES,
           (at_least("mb_s", 3.5, KAFKA), at_most("cpu_s_gb", 1.0), at_least("mb_s", 0.8, OS))),
    Figure("produce-1k-8", "produce", "1 KiB, 8 producers", LIBRDKAFKA, drives.produce(1024, 8, gb=2), BYTES,
           (at_least("mb_s", 2.3, KAFKA), at_most("cpu_s_gb", 1.2))),
    Figure("produce-16k", "produce", "16 KiB, 1 producer", LIBRDKAFKA, drives.produce(16384, 1, gb=3), BYTES,
           (at_least("mb_s", 5, KAFKA), at_most("cpu_s_gb", 0.9))),
    Figure("produce-16k-8", "produce", "16 KiB, 8 producers", LIBRDKAFKA, drives.produce(16384, 8, gb=3), BYTES),
    Figure("produce-100", "produce", "100 B, 1 producer", LIBRDKAFKA, drives.produce(100, 1, gb=0.5), RECORDS,
           (at_least("records_s", 1.5, KAFKA), at_most("cpu_us_record", 0.17))),
    Figure("produce-100-8", "produce", "100 B, 8 producers", LIBRDKAFKA, drives.produce(100, 8, gb=0.5), RECORDS),
    Figure("single", "produce", "one record of 1 KiB per request, 5 in flight", LIBRDKAFKA,
           drives.produce(1024, 1, gb=0.016, settings=drives.SINGLE), RECORDS,
           (at_least("records_s", 1.2, KAFKA), at_least("records_s", 3, KAFKA, OS))),
    Figure("single-load", "produce", "the same", LOAD, drives.load(connections=1, in_flight=5), RECORDS),
    Figure("written", "produce", "bytes written for 5 GB of 1 KiB", LIBRDKAFKA, drives.produce(1024, 1, gb=5),
           (Measure("written", "per byte produced", 3, False),), (at_most("written", 1.03),), once=True),
    Figure("consume", READ, "1 KiB, 1 consumer, just written", LIBRDKAFKA, drives.consume, BYTES,
           (at_least("mb_s", 1, KAFKA), at_most("cpu_s_gb", 0.5)), reads=True),
    Figure("consume-cold", READ, "the same, from the disk", LIBRDKAFKA, drives.consume_cold, BYTES, reads=True),
    Figure("consume-hot", READ, "32 MB again and again, 1 consumer", LOAD, drives.consume_hot, BYTES, reads=True),
    *(Figure(f"fan-out-{count}", READ, f"fan-out: {count} consumers", LOAD, drives.fan_out(count), BYTES,
             (at_least("mb_s", 1, KAFKA), at_most("cpu_s_gb", 0.42)) if count == 8 else (), reads=True)
      for count in (1, 4, 8)),
    Figure("together", READ, "produce and consume at once, 1 KiB", LIBRDKAFKA, drives.together, BYTES,
           reads=True),
    *(Figure(f"perf-test-{rate}", LATE, f"at {rate} MB/s, linger 2 ms", PERF_TOOLS, drives.perf_test(rate), ACKNOWLEDGED,
             (at_most("p99_ms", bound, KAFKA),) if bound else ())
      for rate, bound in ((5, None), (20, 1.25), (50, 0.25))),
    Figure("end-to-end", LATE, "one record at a time to a consumer", PERF_TOOLS, drives.end_to_end, ACKNOWLEDGED,
           reads=True),
    *(Figure(f"latency-{rate}", LATE, f"at {rate} MB/s, 16 KiB requests", LOAD, drives.latency(rate),
             (*ACKNOWLEDGED, *ARRIVED)) for rate in (5, 20, 50)),
    *(Figure(f"partitions-{count}", MANY, f"produce 1 KiB to {count:,} partitions", LIBRDKAFKA,
             drives.produce(1024, 1, gb=1, partitions=count), BYTES,
             (at_least("mb_s", bound, "partitions-4"),) if bound else (), without=without)
      for count, bound, without in ((4, None, ()), (10, None, ()), (1000, 0.7, ()), (5000, 0.5, ()),
                                    (20000, None, (*KAFKAS, "tansu")))),
    *(Figure(f"partitions-{count}-load", MANY, f"requests of 64 batches of 16 KiB to {count:,} partitions", LOAD,
             drives.load(connections=1, in_flight=5, partitions=count, records_per_batch=16, batches_per_request=64),
             BYTES, (at_least("mb_s", bound, "partitions-64-load"),) if bound else (), without=without)
      for count, bound, without in ((64, None, ()), (1000, 0.7, ()), (5000, 0.5, ()),
                                    (20000, None, (*KAFKAS, "tansu")))),
    *(Figure(f"connections-{count}", "connections", f"{count:,} connections, a record of 1 KiB each in flight", LOAD,
             drives.load(connections=count, in_flight=1),
             (RECORDS_S, ACKNOWLEDGED[1], Measure("peak_mb", "most resident MB", 0, False)), without=without)
      # The floor has two threads for each connection.
      for count, without in ((10, ()), (1000, ()), (10000, ("floor",)))),
    Figure("memory", "rest", "after all of it, with 8 producers and 4 consumers last", f"{LIBRDKAFKA}, {LOAD}",
           drives.memory,
           (Measure("peak_mb", "most resident MB", 0, False), Measure("after_mb", "resident MB after", 0, False),
            Measure("idle_mb", "resident MB after 15 s of rest x scale", 0, False)), (at_most("after_mb", 200),)),
    Figure("start", "rest", "start to first answer, fresh folder", LOAD, drives.start,
           (Measure("ms", "ms", 1, False), Measure("stop_ms", "stop ms", 1, False)), (at_most("ms", 8),), alone=True),
    Figure("start-filled", "rest", "start to first answer with data", LOAD, drives.start_filled,
           (Measure("ms", "ms", 1, False), Measure("gb", "GB")), without=("tansu", "floor"), once=True, alone=True),
]  # fmt: skip


def named(name):
    return next((figure for figure in FIGURES if figure.name == name), None)


def chosen(names):
    """Those whose name or group is among the names; all of them when there are none."""
    known = {figure.name for figure in FIGURES} | {figure.group for figure in FIGURES}
    for name in names:
        if name not in known:
            raise SystemExit(f"no figure or group {name}: scripts/bench --list shows them")
    return [figure for figure in FIGURES if not names or figure.name in names or figure.group in names]
