"""What a network that learnt five classes of CIFAR-10 is worth for the other five, of which there are 50 pictures each.

    python bench/transfer.py PELLUCID cifar10-jpg.tar.gz [EPOCHS|RUN]

It learns aeroplanes, automobiles, birds, cats and deer for EPOCHS (5), unless a RUN is there that did. Then, for three seeds, 250 pictures of dogs, frogs, horses, ships
and trucks are learnt: from nothing by the same network; by a new last layer on the frozen one; and by all of it. The 5,000 test pictures
of these classes judge. Seconds are those of an epoch from the second on: the first also computes the features.
"""

import csv
import json
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PELLUCID, ARCHIVE = sys.argv[1:3]
EPOCHS = sys.argv[3] if len(sys.argv) > 3 else "5"
KNOWN = {"airplane", "automobile", "bird", "cat", "deer"}
NETWORK, FEW, SEEDS = "resnet8", 50, range(3)


def train(data, run, *words):
    command = [PELLUCID, "train", data, "--json", "-q", "--out", run, "--force", *words]
    finished = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if finished.returncode:
        sys.exit(finished.stderr)
    with open(run / "history.csv", newline="") as file:
        times = [float(row["seconds"]) for row in csv.DictReader(file)]
    epochs = [after - before for before, after in zip(times, times[1:])]
    found = json.loads(finished.stdout)
    return found["metrics"]["test"]["accuracy"], found["train_seconds"], statistics.median(epochs)


with tempfile.TemporaryDirectory() as folder:
    work = Path(folder)
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(work, filter="data")
    cifar = work / "cifar10"
    for part in ("train", "test"):
        for kind in sorted((cifar / part).iterdir()):
            where = work / ("known" if kind.name in KNOWN else "other") / part
            where.mkdir(parents=True, exist_ok=True)
            kind.rename(where / kind.name)
    pictures = {kind: sorted(kind.iterdir()) for kind in sorted((work / "other" / "train").iterdir())}

    backbone = Path(EPOCHS)
    if EPOCHS.isdecimal():
        backbone = work / "backbone"
        accuracy, seconds, epoch = train(work / "known", backbone, "--net", NETWORK, "--epochs", EPOCHS)
        print(f"five classes, 25,000 pictures: {100 * accuracy:.2f} % in {seconds:.0f} s, {epoch:.1f} s an epoch", flush=True)

    ways = {
        "from nothing": ["--net", NETWORK, "--epochs", "60"],
        "frozen, new last layer": ["--from", backbone, "--freeze", "backbone", "--augment", "none", "--epochs", "60"],
        "the same, features not kept": ["--from", backbone, "--freeze", "backbone", "--augment", "flip", "--epochs", "60"],
        "all of it": ["--from", backbone, "--epochs", "30"],
    }
    found = {way: [] for way in ways}
    tests = work / "other" / "test"
    for seed in SEEDS:
        few = work / f"few{seed}"
        for kind, files in pictures.items():
            (few / "train" / kind.name).mkdir(parents=True)
            for file in random.Random(seed).sample(files, FEW):
                (few / "train" / kind.name / file.name).hardlink_to(file)
        # What is the same for all seeds moves along: links are not followed.
        tests.rename(few / "test")
        tests = few / "test"
        for way, words in ways.items():
            found[way].append(train(few, work / "run", "--seed", seed, *words))
            accuracy, seconds, epoch = found[way][-1]
            print(f"seed {seed}\t{way}\t{100 * accuracy:.2f} %\t{seconds:.2f} s\t{1e3 * epoch:.2f} ms an epoch", flush=True)
    for way, values in found.items():
        accuracies = [100 * accuracy for accuracy, _, _ in values]
        seconds, epochs = [statistics.median(value[i] for value in values) for i in (1, 2)]
        mean, deviation = statistics.mean(accuracies), statistics.stdev(accuracies)
        print(f"{way}: {mean:.2f} ± {deviation:.2f} %, {seconds:.1f} s, {1e3 * epochs:.2f} ms an epoch")
