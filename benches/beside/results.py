"""Raw results: every value of every round. What the report shows is computed from them.

    {"runs": {ID: {"machine": {...}, "rounds": 5, "scale": 1.0, "skipped": {BROKER: REASON}}},
     "figures": {FIGURE: {"run": ID, "values": {BROKER: {MEASURE: [VALUE, ...]}}}}}

A figure is replaced as a whole by the run that measured it last: ratios are only taken within a run.
"""

import json
import statistics

import machine
from build import PROJECT

PATH = PROJECT / "docs" / "benchmarks" / "results.json"
# Where the figures that need no broker keep their values.
MACHINE = "machine"


def empty(programs, subjects, skipped, scale):
    run = {
        "machine": machine.look(programs, subjects),
        "rounds": 0,
        "scale": scale.factor,
        "skipped": skipped,
    }
    return {"runs": {run["machine"]["date"]: run}, "figures": {}}


def count_round(measured):
    for run in measured["runs"].values():
        run["rounds"] += 1


def add(measured, figure, subject, values):
    (run,) = measured["runs"]
    into = measured["figures"].setdefault(figure, {"run": run, "values": {}})["values"].setdefault(subject, {})
    for measure, value in (values or {}).items():
        # A figure may bring several values at a time.
        into.setdefault(measure, []).extend(value if isinstance(value, list) else [value])


def merge(stored, measured):
    stored["runs"] |= measured["runs"]
    stored["figures"] |= measured["figures"]
    used = {figure["run"] for figure in stored["figures"].values()}
    stored["runs"] = {name: run for name, run in sorted(stored["runs"].items()) if name in used}


def load():
    if not PATH.exists():
        return {"runs": {}, "figures": {}}
    return json.loads(PATH.read_text(encoding="utf-8"))


def save(stored):
    """One line per list: a diff shows which figures are new."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    figures = []
    for name, figure in sorted(stored["figures"].items()):
        rounded = {
            subject: {measure: [float(f"{value:.5g}") for value in values] for measure, values in measures.items()}
            for subject, measures in figure["values"].items()
        }
        subjects = ",\n   ".join(f"{json.dumps(subject)}: {json.dumps(values)}" for subject, values in rounded.items())
        figures.append(f'  {json.dumps(name)}: {{"run": {json.dumps(figure["run"])}, "values": {{\n   {subjects}}}}}')
    runs = ",\n".join(f"  {json.dumps(name)}: {json.dumps(run)}" for name, run in stored["runs"].items())
    text = f'{{"runs": {{\n{runs}\n }},\n "figures": {{\n' + ",\n".join(figures) + "\n }}\n"
    PATH.write_text(text, encoding="utf-8")


def values(stored, figure, subject, measure):
    return stored["figures"].get(figure, {}).get("values", {}).get(subject, {}).get(measure, [])


def median(stored, figure, subject, measure):
    """`None` where it was not measured."""
    found = values(stored, figure, subject, measure)
    return statistics.median(found) if found else None
