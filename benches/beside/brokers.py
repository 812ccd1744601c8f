"""The brokers that take part: how each is started, looked at and stopped. All listen on loopback only."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass

from build import FOLDER, PROJECT

PARTITIONS = 4
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# ApiVersions version 0 with correlation id 7 and no client id, length first.
API_VERSIONS = bytes([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xFF, 0xFF])
# Kafka removes the files of a deleted topic after a minute, and the next figure should not pay for them; and its controller
# gives a broker up that is paused for ten seconds.
KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{address},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{address}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/logs
num.partitions={partitions}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.delete.delay.ms=1000
broker.session.timeout.ms=600000
{more}
"""


@dataclass(frozen=True)
class Kind:
    name: str
    # As the head of a column.
    title: str
    command: object
    serves_reads: bool = True
    # Lists what it can do: a topic with as many partitions as asked for, and not those that it was started with.
    creates_topics: bool = True
    # A JVM goes on loading and compiling for a while after its first answer.
    settle_seconds: float = 0.0
    # The bytes of a topic that is deleted come back: else it is started anew, with an empty folder, for each figure.
    deletes_topics: bool = True
    # Knows InitProducerId, which Kafka's producer asks for unless told otherwise.
    idempotent: bool = True


def ottla(durability):
    def command(programs, folder, address, partitions):
        return [programs["ottla"], "--listen", address, "--durability", durability, "--partitions", str(partitions),
                "--data", folder / "data", "--log", "warn"]  # fmt: skip

    return command


def floor(programs, folder, address, partitions):
    return [programs["floor"], address, folder / "file", str(partitions)]


def tansu(programs, _folder, address, _partitions):
    listener = f"tcp://{address}"
    return [programs["tansu"], "broker", "--listener-url", listener, "--advertised-listener-url", listener,
            "--storage-engine", "memory://tansu/"]  # fmt: skip


def java(programs, *options):
    logging = PROJECT / "compat/java/log4j2.yaml"
    return ["java", *options, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{programs['jars']}/*"]


def kafka(*more):
    """One node that is broker and controller, with the heap and collector that its own start script gives it."""

    def command(programs, folder, address, partitions):
        config = folder / "server.properties"
        config.write_text(
            KAFKA_PROPERTIES.format(
                controller=free_port(), address=address, folder=folder, partitions=partitions, more="\n".join(more)
            )
        )
        if not (folder / "logs").exists():
            tool = java(programs, "-XX:TieredStopAtLevel=1")
            # Any 16 bytes in base64 are an id.
            tool += ["kafka.tools.StorageTool", "format", "-t", "b3R0bGEtYmVuY2hpZA", "-c", config]
            subprocess.run(tool, check=True, stdout=subprocess.DEVNULL)
        return [*java(programs, "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"), "kafka.Kafka", config]

    return command


KINDS = {
    kind.name: kind
    for kind in [
        Kind("ottla", "Ottla, `fsync`", ottla("fsync")),
        Kind("ottla-os", "Ottla, `os`", ottla("os")),
        # As it comes: acknowledges once the page cache has the records.
        Kind("kafka", "Kafka, page cache", kafka(), settle_seconds=5),
        Kind("kafka-sync", "Kafka, sync each message", kafka("log.flush.interval.messages=1"), settle_seconds=5),
        Kind("tansu", "Tansu, memory", tansu, deletes_topics=False),
        Kind("floor", "floor, synced", floor, serves_reads=False, creates_topics=False, deletes_topics=False,
             idempotent=False),
    ]
}
OTTLAS = ["ottla", "ottla-os"]
OTHERS = [name for name in KINDS if name not in OTTLAS]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(address):
    """Whether a connection is taken and ApiVersions answered without an error."""
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1) as stream:
            stream.sendall(API_VERSIONS)
            return stream.recv(10)[4:] == bytes([0, 0, 0, 7, 0, 0])
    except OSError:
        return False


def prepare(programs, kind, partitions=PARTITIONS):
    """A fresh folder, and the address and command of a broker in it."""
    folder = FOLDER / "data" / kind.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    address = f"127.0.0.1:{free_port()}"
    return folder, address, [str(part) for part in kind.command(programs, folder, address, partitions)]


class Broker:
    """A running broker; its folder goes away with it."""

    def __init__(self, programs, kind, partitions=PARTITIONS):
        self.kind = kind
        self.folder, self.address, self.command = prepare(programs, kind, partitions)
        # The most memory that was seen while a figure was measured.
        self.peak_mb = 0.0
        self.launch()
        time.sleep(kind.settle_seconds)

    def launch(self):
        log = (FOLDER / f"{self.kind.name}.log").open("wb")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        started = time.monotonic()
        while not answers(self.address):
            late = time.monotonic() - started > START_SECONDS_MAX
            if self.process.poll() is not None or late:
                self.process.kill()
                raise RuntimeError(f"{self.kind.name} does not answer: see {log.name}")
            time.sleep(0.002)

    def cpu_seconds(self):
        """User and system time of the whole process so far."""
        # The name in parentheses may hold blanks; what follows it does not. utime and stime are fields 14 and 15.
        fields = self.proc("stat").rsplit(") ", 1)[1].split(" ")
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def thread_seconds(self):
        """The same of the threads that are there, to the nanosecond."""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            total += int(self.proc(f"task/{thread}/schedstat").split(" ")[0])
        return total / 1e9

    def resident_mb(self):
        return int(self.field("status", "VmRSS").split()[0]) * 1024 / 1e6

    def written_bytes(self):
        return int(self.field("io", "write_bytes"))

    def proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}", encoding="ascii", errors="replace") as file:
            return file.read()

    def field(self, name, key):
        line = next(line for line in self.proc(name).splitlines() if line.startswith(f"{key}:"))
        return line.split(":")[1].strip()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.resume()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self):
        self.end()
        self.remove()

    def forget_cached_files(self):
        """Takes the broker's files out of the page cache, so that the next read comes from the disk."""
        for file in self.folder.rglob("*"):
            if file.is_file():
                handle = os.open(file, os.O_RDONLY)
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(handle)


class Used:
    """What a broker used while a block ran: CPU seconds, bytes written, the most memory that was seen."""

    EVERY_SECONDS = 0.05

    def __init__(self, broker):
        self.broker = broker

    def __enter__(self):
        self.cpu_s, self.written, self.peak_mb = self.broker.cpu_seconds(), self.broker.written_bytes(), 0.0
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        self.started = time.monotonic()
        return self

    def watch(self):
        while not self.over.wait(self.EVERY_SECONDS):
            self.peak_mb = max(self.peak_mb, self.broker.resident_mb())

    def __exit__(self, *error):
        self.seconds = time.monotonic() - self.started
        self.over.set()
        self.watcher.join()
        self.peak_mb = max(self.peak_mb, self.broker.resident_mb())
        self.broker.peak_mb = max(self.broker.peak_mb, self.peak_mb)
        self.cpu_s = self.broker.cpu_seconds() - self.cpu_s
        self.written = self.broker.written_bytes() - self.written
