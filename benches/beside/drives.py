"""How the figures are driven: each function takes a run.Context and returns numbers by name."""

import time

import clients
from brokers import Broker, PARTITIONS, Used, prepare

BATCHED = ("linger.ms=5", "batch.size=1000000")
SINGLE = ("linger.ms=0", "batch.num.messages=1", "max.in.flight.requests.per.connection=5")
RECORD_SIZE = 1024
READ_GB = 1.5
SECONDS = 4
# Of Kafka's producer, before its latencies count.
WARM_UP_SECONDS = 4


def per_byte_and_record(seconds, mb, records, used):
    return {
        "mb_s": mb / seconds,
        "records_s": records / seconds,
        "cpu_s_gb": used.cpu_s / mb * 1000,
        "cpu_us_record": used.cpu_s * 1e6 / records,
        "written": used.written / 1e6 / mb,
        "peak_mb": used.peak_mb,
    }


def produce(size, producers, gb, partitions=PARTITIONS, settings=BATCHED):
    def drive(context):
        topic = context.topic(partitions)
        each = context.scale.count(gb * 1e9 / size / producers)
        program, address = context.programs["rdkafka_performance"], context.broker.address
        with Used(context.broker) as used:
            runs = [clients.producing(program, address, topic, size, each, settings) for _ in range(producers)]
            seconds = max(run.seconds() for run in runs)
        records = each * producers
        return per_byte_and_record(seconds, records * size / 1e6, records, used)

    return drive


def load(partitions=PARTITIONS, **settings):
    def drive(context):
        topic = context.topic(partitions)
        with Used(context.broker) as used:
            did = context.load("produce", address=context.broker.address, topic=topic, partitions=partitions,
                               seconds=context.scale.seconds(SECONDS), size=RECORD_SIZE, **settings)  # fmt: skip
        return did | per_byte_and_record(did["seconds"], did["mb"], did["records"], used)

    return drive


def latency(rate):
    def drive(context):
        reads = context.kind.serves_reads
        return load(in_flight=64, records_per_batch=16, mb_per_second=rate, end_to_end=reads)(context)

    return drive


def consume(context):
    topic, records = context.filled(READ_GB)
    with Used(context.broker) as used:
        run = clients.consuming(context.programs["rdkafka_performance"], context.broker.address, topic, PARTITIONS, records)
        seconds = run.seconds()
    return per_byte_and_record(seconds, records * RECORD_SIZE / 1e6, records, used)


def consume_cold(context):
    context.filled(READ_GB)
    context.broker.forget_cached_files()
    return consume(context)


def fetch(context, topic, records, **settings):
    with Used(context.broker) as used:
        did = context.load("fetch", address=context.broker.address, topic=topic, partitions=PARTITIONS, records=records,
                           size=RECORD_SIZE, **settings)  # fmt: skip
    return per_byte_and_record(did["seconds"], did["mb"], did["records"], used)


def consume_hot(context):
    topic, records = context.filled(0.032)
    return fetch(context, topic, records, times=context.scale.count(100))


def fan_out(count):
    def drive(context):
        topic, records = context.filled(READ_GB)
        return fetch(context, topic, records * 2 // 5, connections=count)

    return drive


def together(context):
    topic, program, address = context.topic(), context.programs["rdkafka_performance"], context.broker.address
    records = context.scale.count(1e9 / RECORD_SIZE)
    with Used(context.broker) as used:
        reading = clients.consuming(program, address, topic, PARTITIONS, records)
        clients.producing(program, address, topic, RECORD_SIZE, records, BATCHED).seconds()
        seconds = reading.seconds()
    return per_byte_and_record(seconds, records * RECORD_SIZE / 1e6, records, used)


def percentiles(values):
    return dict(zip(("p50_ms", "p99_ms", "p999_ms"), values))


def perf_test(rate):
    def drive(context):
        records_per_second = int(rate * 1e6 / RECORD_SIZE)
        # Not scaled: a shorter run would measure how the tool's JVM starts.
        records = records_per_second * (WARM_UP_SECONDS + SECONDS)
        warm_up = records_per_second * WARM_UP_SECONDS
        return percentiles(
            clients.perf_test(
                context.programs, context.broker, context.topic(), RECORD_SIZE, records, warm_up, records_per_second
            )
        )

    return drive


def end_to_end(context):
    records = context.scale.count(2000)
    return percentiles(clients.end_to_end(context.programs, context.broker.address, context.topic(1), records, RECORD_SIZE))


def idle(context):
    time.sleep(1)
    seconds = context.scale.seconds(5)
    before = context.broker.thread_seconds()
    time.sleep(seconds)
    used = context.broker.thread_seconds() - before
    return {"rss_mb": context.broker.resident_mb(), "cpu_percent": 100 * used / seconds}


def memory(context):
    """Of the broker that all figures before it went through, where they were measured in the same run."""
    produce(RECORD_SIZE, 8, gb=2)(context)
    if context.broker.kind.serves_reads:
        fan_out(4)(context)
    after_mb = context.broker.resident_mb()
    time.sleep(context.scale.seconds(15))
    return {"peak_mb": context.broker.peak_mb, "after_mb": after_mb, "idle_mb": context.broker.resident_mb()}


def disk(context):
    return context.load("disk", folder=context.folder, seconds=context.scale.seconds(0.4))


def start(context):
    _, address, command = prepare(context.programs, context.kind)
    return context.load("start", *command, address=address)


def start_filled(context):
    """Five starts with the same data."""
    broker = Broker(context.programs, context.kind)
    records = context.scale.count(context.scale.fill_gb * 1e9 / RECORD_SIZE)
    program = context.programs["rdkafka_performance"]
    clients.producing(program, broker.address, "fill", RECORD_SIZE, records, BATCHED).seconds()
    broker.end()
    starts = [context.load("start", *broker.command, address=broker.address) for _ in range(5)]
    broker.remove()
    return {"ms": [start["ms"] for start in starts], "gb": records * RECORD_SIZE / 1e9}
