"""What the numbers were measured on."""

import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from build import FOLDER, PROJECT, TANSU_VERSION

UNKNOWN = "unknown"


def look(programs, subjects):
    """One text for each thing that a reader wants to know."""
    versions = [output(programs["ottla"], "--version"), output("rustc", "--version")]
    if any(name.startswith("kafka") for name in subjects):
        versions.append(f"Kafka 4.3.1, one node, 1 GB heap, G1, {output('java', '--version')}")
    if "tansu" in subjects:
        versions.append(f"Tansu {TANSU_VERSION}, memory engine")
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "commit": output("git", "-C", PROJECT, "describe", "--always", "--dirty"),
        "cpu": f"{field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(field('/proc/meminfo', 'MemTotal').split()[0]) // 1_000_000} GB",
        "kernel": output("uname", "-sr"),
        "file_system": file_system(),
        "versions": versions,
    }


def field(path, name):
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return line.split(":", 1)[1].strip()
    return UNKNOWN


def output(*command):
    try:
        done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return done.stdout.split("\n", 1)[0].strip()


def file_system():
    """The type and the device of the mount that holds the brokers' folders."""
    folder, best = FOLDER.resolve(), None
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        device, point, kind = line.split(" ")[:3]
        if folder.is_relative_to(point) and (best is None or len(point) >= len(best[0])):
            best = (point, f"{kind} on {device}")
    return best[1] if best else UNKNOWN
