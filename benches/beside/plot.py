"""Bars beside each other as SVG: one picture per group of figures, one colour per broker."""

from html import escape

from brokers import KINDS
from figures import FIGURES
from results import median, values

# What is drawn: a file, its title, the measure, and the figures.
PLOTS = [
    ("produce.svg", "Produce, MB/s", "mb_s", ["produce-1k", "produce-1k-8", "produce-16k", "produce-16k-8"]),
    ("produce-cpu.svg", "Produce, broker CPU s/GB", "cpu_s_gb",
     ["produce-1k", "produce-1k-8", "produce-16k", "produce-16k-8"]),
    ("consume.svg", "Consume, MB/s", "mb_s", ["consume", "consume-cold", "consume-hot", "fan-out-1", "fan-out-4", "fan-out-8"]),
    ("latency.svg", "Acknowledgement p99, ms (Kafka's perf test)", "p99_ms", ["perf-test-5", "perf-test-20", "perf-test-50"]),
    ("partitions.svg", "Produce over partitions, MB/s", "mb_s",
     ["partitions-4", "partitions-10", "partitions-1000", "partitions-5000", "partitions-20000"]),
]  # fmt: skip
COLOURS = {"ottla": "#1b6ca8", "ottla-os": "#7fb5dc", "kafka": "#b0413e", "kafka-sync": "#d98880", "tansu": "#c9a227",
           "floor": "#8a8a8a"}  # fmt: skip
BAR, GAP, LEFT, WIDTH, CHARACTER = 14, 18, 330, 1000, 7


def write(stored, folder):
    """Draws what was measured; the names and titles of the files."""
    drawn = []
    for name, title, measure, figures in PLOTS:
        figures = [figure for figure in FIGURES if figure.name in figures and figure.name in stored["figures"]]
        if figures:
            (folder / name).write_text(bars(stored, title, measure, figures), encoding="utf-8")
            drawn.append((name, title))
    return drawn


def bars(stored, title, key, figures):
    shown = {figure.name: [subject for subject in KINDS if values(stored, figure.name, subject, key)] for figure in figures}
    top = max((max(values(stored, name, subject, key)) for name in shown for subject in shown[name]), default=1) or 1
    digits = next(measure.digits for measure in figures[0].measures if measure.key == key)
    room = WIDTH - LEFT - 12 * CHARACTER
    parts, y = [], 44 + BAR
    for figure in figures:
        height = BAR * len(shown[figure.name])
        parts.append(f'<text x="{LEFT - 8}" y="{y + height / 2 + 4}" text-anchor="end">{escape(figure.title)}</text>')
        for subject in shown[figure.name]:
            found = values(stored, figure.name, subject, key)
            middle = median(stored, figure.name, subject, key)
            low, high, end = (LEFT + room * value / top for value in (min(found), max(found), middle))
            line = y + BAR / 2
            parts.append(f'<rect x="{LEFT}" y="{y + 1}" width="{end - LEFT:.1f}" height="{BAR - 2}" fill="{COLOURS[subject]}"/>')
            parts.append(f'<path d="M{low:.1f} {line}H{high:.1f}" stroke="#222"/>')
            parts.append(f'<text x="{max(high, end) + 5:.1f}" y="{y + BAR - 3}">{middle:,.{digits}f}</text>')
            y += BAR
        y += GAP
    legend, x = [], LEFT
    for subject in (subject for subject in KINDS if any(subject in subjects for subjects in shown.values())):
        text = KINDS[subject].title.replace("`", "")
        legend.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{COLOURS[subject]}"/>')
        legend.append(f'<text x="{x + 14}" y="41">{escape(text)}</text>')
        x += 14 + CHARACTER * (len(text) + 2)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{y}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>', *legend, *parts, "</svg>", "",
    ])  # fmt: skip
