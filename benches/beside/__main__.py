"""The bench: Ottla alone or beside other brokers, with the clients that users have, in interleaved rounds.

What is measured is the table in figures.py. The other files: build (the programs), brokers and clients (the processes),
results (numbers that were stored), report, plot and quick (what is made of them).
"""

import argparse
import signal
import sys
import time

import brokers
import build
import figures
import quick
import report
import results
from run import Run, Scale

ROUNDS = 5


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures Ottla and writes docs/benchmarks.md from what is stored in docs/benchmarks/. "
        "Nothing else should run on the machine meanwhile.",
    )
    parser.add_argument("--beside", default="", metavar="NAME,...", help=f"also measure: {', '.join(brokers.OTHERS)}")
    parser.add_argument("--only", default="", metavar="NAME,...", help="figures or groups of figures (--list)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved rounds ({ROUNDS})")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further round after this")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the work is done: 0.01 to try it out")
    parser.add_argument("--fill-gb", type=float, default=10.0, help="data in the folder that is started with")
    parser.add_argument("--brokers", default="ottla,ottla-os", help="Ottla's own durability modes (ottla,ottla-os)")
    parser.add_argument("--print", action="store_true", dest="show", help="print the tables, store nothing")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the report from what is stored")
    parser.add_argument("--list", action="store_true", help="print the names of all figures")
    parser.add_argument("--quick", action="store_true", help="a few figures once, compared with the stored report")
    return parser.parse_args()


def names(text):
    return [name for name in text.split(",") if name]


def main():
    asked = arguments()
    if asked.list:
        for figure in figures.FIGURES:
            print(f"{figure.group:12} {figure.name:24} {figure.title}")
        return
    stored = results.load()
    if asked.report:
        report.write(stored)
        return
    scale = Scale(asked.scale, asked.fill_gb)
    if asked.quick:
        quick.compare(measure(quick.FIGURES_QUICK, ["ottla", "floor"], quick.SCALE), stored)
        return
    subjects = names(asked.brokers) + names(asked.beside)
    measured = measure(figures.chosen(names(asked.only)), subjects, scale, asked.rounds, asked.seconds)
    if asked.show:
        print(report.tables(measured))
        return
    results.merge(stored, measured)
    results.save(stored)
    report.write(stored)


class Ended(Exception):
    """Somebody wants this to end: what was started is stopped, what was measured is kept."""


def end(*_):
    raise Ended


def measure(chosen, subjects, scale, rounds=1, seconds=float("inf")):
    """All rounds of the chosen figures on the subjects, as results.py stores them."""
    programs, skipped = build.programs(subjects)
    for name, reason in skipped.items():
        print(f"{name}: skipped: {reason}", file=sys.stderr)
    subjects = [name for name in subjects if name not in skipped]
    run = Run(programs, scale)
    signal.signal(signal.SIGTERM, end)
    measured = results.empty(programs, subjects, skipped, scale)
    started = time.monotonic()
    try:
        for turn in range(rounds):
            if time.monotonic() - started > seconds:
                break
            results.count_round(measured)
            for figure, values in run.machine(chosen):
                results.add(measured, figure.name, results.MACHINE, values)
            for subject in subjects:
                print(f"{time.monotonic() - started:5.0f} s  round {turn + 1} of {rounds}: {subject}", file=sys.stderr)
                for figure, values in run.measure(subject, chosen, turn):
                    results.add(measured, figure.name, subject, values)
    except (Ended, KeyboardInterrupt):
        print("ended before all rounds were done", file=sys.stderr)
    finally:
        run.close()
    return measured


if __name__ == "__main__":
    main()
