"""The short form: a few figures once, beside what was measured last. It tells a slow change, not a number to quote."""

from figures import FIGURES, chosen
from results import median, values
from run import Scale

NAMES = ["idle", "produce-1k", "produce-16k", "produce-100", "single", "consume", "consume-hot", "latency-20",
         "partitions-1000", "start"]  # fmt: skip
FIGURES_QUICK = chosen(NAMES)
SCALE = Scale(0.25)
# A single short run differs by this much from a median without any reason.
NOTED = 1.15
YARDSTICK = "floor"


def compare(measured, stored):
    print(f"{'':44} {'stored':>10} {'now':>10}   ratio   floor's")
    for figure in FIGURES:
        for measure in figure.measures:
            now, before = (median(which, figure.name, "ottla", measure.key) for which in (measured, stored))
            if now is None or not before:
                continue
            ratio = now / before
            floors = [median(which, figure.name, YARDSTICK, measure.key) for which in (measured, stored)]
            # What the floor broker lost or won as well is the machine's.
            beside = f"{floors[0] / floors[1]:6.2f}" if all(floors) else ""
            print(f"{figure.name + ': ' + measure.unit:44} {before:10.{measure.digits}f} {now:10.{measure.digits}f} "
                  f"{ratio:7.2f}  {beside:7} {verdict(stored, figure, measure, now, ratio)}")  # fmt: skip


def verdict(stored, figure, measure, now, ratio):
    """Only what lies outside the rounds that were stored and a good deal off their median is worth a word."""
    found = values(stored, figure.name, "ottla", measure.key)
    if min(found) <= now <= max(found) or 1 / NOTED < ratio < NOTED:
        return ""
    better = (ratio > 1) == measure.more_is_better
    return ("faster" if better else "SLOWER") if measure.unit.endswith(("/s", "ms")) else ("less" if better else "MORE")
