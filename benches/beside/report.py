"""From stored numbers to a page: medians with their spread, targets, and what they were measured on."""

import plot
import results
from brokers import KINDS
from build import PROJECT
from figures import FIGURES, FSYNC, named
from results import MACHINE, median

PAGE = PROJECT / "docs" / "benchmarks.md"
TITLES = {name: kind.title for name, kind in KINDS.items()} | {MACHINE: "this machine"}
HEADINGS = {
    "disk": "The disk",
    "produce": "Produce",
    "read": "Consume",
    "latency": "Latency",
    "partitions": "Many partitions",
    "connections": "Many connections",
    "rest": "At rest, and memory",
}
INTRODUCTION = """\
# Benchmarks

Made by `scripts/bench --beside kafka,tansu,floor` from the numbers in [benchmarks/results.json](benchmarks/results.json);
nothing on this page is written by hand. A cell is the median of interleaved rounds (lowest-highest); a number alone was
measured once. MB is 1e6 and GB 1e9 bytes of record values; CPU is the broker process's own, from /proc. Client and broker
share the cores. Batched producers have `linger.ms=5`, `batch.size=1000000` and `acks=all`; there are 4 partitions unless
it is said. Letters name the run: only numbers of one run are compared.
"""
FLOOR = (
    "The floor broker (benches/floor.rs) decodes, checks CRCs, writes with direct I/O, syncs and answers; it keeps no "
    "index and serves no reads: what this machine and client allow."
)


def letters(stored):
    return dict(zip(stored["runs"], "abcdefghijklmnopqrstuvwxyz"))


def cell(stored, figure, subject, measure):
    found = results.values(stored, figure.name, subject, measure.key)
    if not found:
        return "failed" if stored["figures"][figure.name]["values"].get(subject) == {} else "-"
    middle = f"{median(stored, figure.name, subject, measure.key):,.{measure.digits}f}"
    if len(found) == 1:
        return middle
    low, high = f"{min(found):,.{measure.digits}f}", f"{max(found):,.{measure.digits}f}"
    return middle if low == high else f"**{middle}** ({low}-{high})"


def outcome(stored, figure, target):
    """The value that is held against the target, the target in words, and whether it is met; `None` if not measured."""
    value = median(stored, figure.name, target.subject, target.measure)
    base = 1.0
    if target.of in KINDS:
        base = median(stored, figure.name, target.of, target.measure)
    elif target.of:
        base = median(stored, target.of, target.subject, target.measure)
    if value is None or not base:
        return None
    ratio = value / base
    met = ratio >= target.bound if target.sign == "≥" else ratio <= target.bound
    of = f" x {TITLES[target.of] if target.of in KINDS else named(target.of).title}" if target.of else ""
    where = "" if target.subject == FSYNC else f"{TITLES[target.subject]}: "
    return f"{ratio:.3g}", f"{where}{target.sign} {target.bound:g}{of}", met


def tables(stored):
    """All groups that were measured."""
    text, marks = [], letters(stored)
    for group, heading in HEADINGS.items():
        rows = [figure for figure in FIGURES if figure.group == group and figure.name in stored["figures"]]
        if not rows:
            continue
        present = {subject for figure in rows for subject in stored["figures"][figure.name]["values"]}
        subjects = [subject for subject in TITLES if subject in present]
        text += [f"## {heading}", "", f"| | {' | '.join(TITLES[subject] for subject in subjects)} |"]
        text.append("| --- |" + " --- |" * len(subjects))
        for figure in rows:
            mark = f" ({marks[stored['figures'][figure.name]['run']]})" if len(marks) > 1 else ""
            for index, measure in enumerate(figure.measures):
                if any(results.values(stored, figure.name, subject, measure.key) for subject in subjects):
                    cells = [cell(stored, figure, subject, measure) for subject in subjects]
                    title = f"{figure.title}{mark}: {measure.unit}" if index == 0 else f"… {measure.unit}"
                    text.append(f"| {title} | {' | '.join(cells)} |")
        text.append("")
    return "\n".join(text)


def targets(stored):
    rows = ["## Targets", "", "| figure | target | reached | |", "| --- | --- | --- | --- |"]
    for figure in FIGURES:
        for target in figure.targets:
            reached = outcome(stored, figure, target)
            if reached:
                measure = next(measure for measure in figure.measures if measure.key == target.measure)
                value, text, met = reached
                rows.append(f"| {figure.title}: {measure.unit} | {text} | {value} | {'met' if met else '**missed**'} |")
    return "\n".join([*rows, ""])


def conditions(stored):
    rows = ["## What they were measured with", ""]
    for name, run in stored["runs"].items():
        machine = run["machine"]
        scale = "" if run["scale"] == 1 else f", {run['scale']:g} of the work"
        rows += [
            f"**Run {letters(stored)[name]}**: {machine['date']} UTC, commit {machine['commit']}, "
            f"{run['rounds']} rounds{scale}.",
            "",
            f"- {machine['cpu']}, {machine['memory']}, {machine['kernel']}, data on {machine['file_system']}.",
            *(f"- {version}." for version in machine["versions"]),
            *(f"- {broker} was skipped: {reason}." for broker, reason in run["skipped"].items()),
            "",
        ]
    clients = sorted({f"`{figure.name}`: {figure.client}" for figure in FIGURES if figure.name in stored["figures"]})
    return "\n".join([*rows, f"Clients: {', '.join(clients)}. `load` is benches/load.", "", FLOOR])


def write(stored):
    plots = plot.write(stored, PAGE.parent / "benchmarks")
    images = "\n".join(f"![{title}](benchmarks/{name})" for name, title in plots)
    parts = [INTRODUCTION, targets(stored), images, "", tables(stored), conditions(stored)]
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")
