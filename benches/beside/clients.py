"""The clients: librdkafka's rdkafka_performance, Kafka's perf tools, and our own generator (benches/load)."""

import json
import re
import subprocess

from brokers import java

# A step that takes longer than this has hung.
STEP_SECONDS_MAX = 100


def output(command, name):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=STEP_SECONDS_MAX)  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.stdout


class Load:
    """benches/load: one command, one line of JSON."""

    def __init__(self, program):
        self.program = program

    def __call__(self, command, *program, **settings):
        pairs = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items()]
        rest = ["--", *program] if program else []
        return json.loads(output([self.program, command, *pairs, *rest], f"load {command}"))


class Performance:
    """A run of rdkafka_performance that is under way."""

    def __init__(self, program, address, records, arguments):
        command = [program, *arguments, "-b", address, "-c", records, "-q", "-u", "-i", 1000000, "-X", "log_level=3"]
        self.records = records
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)  # fmt: skip

    def seconds(self):
        """Waits for the end; by the client's own clock."""
        # Nothing is printed between start and end, so the pipe holds it all.
        text = self.process.communicate(timeout=STEP_SECONDS_MAX)[0]
        rows = [[cell.strip() for cell in line.split("|")[1:]] for line in text.splitlines() if line.startswith("|")]
        if len(rows) < 2:
            raise RuntimeError(f"rdkafka_performance said:\n{text}")
        last = dict(zip(rows[0], rows[-1]))
        moved = int(last.get("dr", last["msgs"]))
        if moved < self.records or int(last.get("dr_err", 0)) > 0:
            raise RuntimeError(f"rdkafka_performance moved {moved} of {self.records} records:\n{text}")
        return float(last["elapsed"]) / 1000


def producing(program, address, topic, size, records, settings):
    settings = [part for setting in settings for part in ("-X", setting)]
    return Performance(program, address, records, ["-P", "-t", topic, "-a", -1, "-s", size, *settings])


def consuming(program, address, topic, partitions, records):
    """Every partition, by assignment, from the beginning."""
    chosen = [part for partition in range(partitions) for part in ("-p", partition)]
    return Performance(program, address, records, ["-C", "-t", topic, "-o", "beginning", *chosen])


PERF_TEST = re.compile(r"([\d.]+) ms avg latency.* (\d+) ms 50th.* (\d+) ms 99th, (\d+) ms 99.9th")


def perf_test(programs, broker, topic, size, records, warm_up, rate):
    """Kafka's ProducerPerformance at a fixed rate of records: p50, p99 and p99.9 in whole ms."""
    command = [*java(programs, "-Xmx512m"), "org.apache.kafka.tools.ProducerPerformance", "--topic", topic,
               "--num-records", records, "--warmup-records", warm_up,
               "--record-size", size, "--throughput", rate, "--bootstrap-server", broker.address,
               "--command-property", "acks=all", "--command-property", "linger.ms=2",
               "--command-property", f"enable.idempotence={str(broker.kind.idempotent).lower()}"]  # fmt: skip
    text = output(command, "ProducerPerformance")
    found = PERF_TEST.search(text.splitlines()[-1])
    if not found:
        raise RuntimeError(f"ProducerPerformance said:\n{text}")
    return [float(value) for value in found.groups()[1:]]


def end_to_end(programs, address, topic, records, size):
    """Kafka's EndToEndLatency: one record at a time, to a consumer and no further; p50, p99 and p99.9 in ms."""
    command = [*java(programs, "-Xmx512m"), "org.apache.kafka.tools.EndToEndLatency", address, topic, records, "all", size]
    text = output(command, "EndToEndLatency")
    found = re.search(r"50th = (\d+), 99th = (\d+), 99.9th = (\d+)", text)
    if not found:
        raise RuntimeError(f"EndToEndLatency said:\n{text}")
    return [float(value) for value in found.groups()]
