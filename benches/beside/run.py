"""One broker's part of a round: the figures one after the other, each with a topic of its own."""

import subprocess
import sys
from dataclasses import dataclass

from brokers import KINDS, PARTITIONS, Broker
from build import FOLDER
from clients import Load, producing
from drives import BATCHED, RECORD_SIZE
from figures import PERF_TOOLS

# So that a JIT compiler and recycled files are in their usual state.
WARM_UP_GB = 0.3


@dataclass(frozen=True)
class Scale:
    """How much of the work is done."""

    factor: float = 1.0
    fill_gb: float = 10.0

    def count(self, full):
        return max(1, int(full * self.factor))

    def seconds(self, full):
        return max(0.5, full * self.factor)


class Context:
    """What a figure is driven with: a broker, and topics that go away with the figure."""

    def __init__(self, run, kind, broker=None):
        self.programs, self.scale, self.load, self.folder = run.programs, run.scale, run.load, FOLDER
        self.kind, self.broker = kind, broker
        self.topics, self.kept, self.count = [], {}, 0

    def topic(self, partitions=PARTITIONS):
        self.count += 1
        name = f"bench-{self.count}"
        if self.kind.creates_topics:
            self.load("create", address=self.broker.address, topic=name, partitions=partitions)
            self.topics.append(name)
        elif partitions != PARTITIONS:
            self.broker.stop()
            self.broker = Broker(self.programs, self.kind, partitions)
        return name

    def fill(self, topic, records):
        program = self.programs["rdkafka_performance"]
        producing(program, self.broker.address, topic, RECORD_SIZE, records, BATCHED).seconds()

    def filled(self, gb):
        """A topic with that much in it, the same one for all figures that ask; its name and how many records."""
        if gb not in self.kept:
            records = self.scale.count(gb * 1e9 / RECORD_SIZE)
            name = self.topic()
            self.fill(name, records)
            self.topics.remove(name)
            self.kept[gb] = (name, records)
        return self.kept[gb]

    def clean(self):
        """As before the figure: what it wrote is gone."""
        if not self.kind.deletes_topics:
            self.restart()
        for name in self.topics:
            self.load("delete", address=self.broker.address, topic=name)
        self.topics.clear()

    def forget(self):
        """What was kept for several figures goes as well."""
        self.topics += [name for name, _ in self.kept.values() if self.kind.creates_topics]
        self.kept.clear()
        self.clean()

    def restart(self):
        self.broker.stop()
        self.broker = Broker(self.programs, self.kind)
        self.topics.clear()
        self.kept.clear()


class Run:
    def __init__(self, programs, scale):
        self.programs, self.scale, self.load = programs, scale, Load(programs["load"])
        # The brokers that were started: each does all its rounds, and is paused while another is measured.
        self.contexts = {}

    def machine(self, chosen):
        """The figures that say something about the machine alone."""
        for figure in chosen:
            if figure.of_machine:
                yield figure, figure.drive(Context(self, None))

    def measure(self, subject, chosen, turn):
        """Each figure with its values; `None` where it failed, which is said."""
        kind = KINDS[subject]
        chosen = [figure for figure in chosen if takes_part(figure, kind, turn, self.programs)]
        for figure in chosen:
            if figure.alone:
                yield figure, attempt(figure, Context(self, kind))
        together = [figure for figure in chosen if not figure.alone]
        if together:
            yield from self.in_turn(kind, together)

    def in_turn(self, kind, chosen):
        context = self.contexts.get(kind.name)
        warm = context is not None
        if context is None:
            context = self.contexts[kind.name] = Context(self, kind, Broker(self.programs, kind))
        context.broker.resume()
        for figure in chosen:
            if not (warm or figure.cold):
                context.fill(context.topic(), self.scale.count(WARM_UP_GB * 1e9 / RECORD_SIZE))
                context.clean()
                warm = True
            values = attempt(figure, context)
            yield figure, values
            if values is None:
                context.restart()
            else:
                context.clean()
        context.forget()
        context.broker.pause()

    def close(self):
        for context in self.contexts.values():
            context.broker.stop()


def takes_part(figure, kind, turn, programs):
    return not (
        figure.of_machine
        or (figure.once and turn > 0)
        or kind.name in figure.without
        or (figure.reads and not kind.serves_reads)
        or (figure.client == PERF_TOOLS and "jars" not in programs)
    )


def attempt(figure, context):
    try:
        return figure.drive(context)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        print(f"{context.kind.name}: {figure.name} failed: {error}", file=sys.stderr)
        return None
