#!/usr/bin/env python3
"""What a search finds beside the defaults, on rows that neither has seen.

    python bench/tune.py PELLUCID TABLE [--seeds 5] [--trials 50] [--metric log_loss] [-- FLAGS...]

For each seed the same fifth of the rows (or the file given by --test behind `--`) is held out from both: `train` with its defaults,
and `tune`, which searches by cross-validation or the validation part and then trains the best settings as `train` does. Printed are
the metrics of the held-out rows, their means with standard deviations, and the paired differences.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time


def run(arguments):
    begun = time.time()
    output = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if output.returncode != 0:
        sys.exit(f"{' '.join(arguments)}: {output.stderr}")
    return json.loads(output.stdout), time.time() - begun


def mean_and_deviation(values):
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
    return mean, math.sqrt(spread)


def main():
    ours, flags = sys.argv[1:], []
    if "--" in ours:
        ours, flags = ours[: ours.index("--")], ours[ours.index("--") + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trials", default="50")
    parser.add_argument("--folds", default="1")
    parser.add_argument("--metric", default="log_loss", help="what the search goes by")
    parser.add_argument("--shown", default="accuracy,log_loss", help="what is compared")
    parser.add_argument("--tune", default="", help="further flags of `tune` alone")
    given = parser.parse_args(ours)
    shown = given.shown.split(",")
    found = {name: {"defaults": [], "tuned": []} for name in shown}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.first, given.first + given.seeds):
            common = [given.data, "--seed", str(seed), "--json", *flags]
            defaults, _ = run([given.program, "train", *common, "--out", f"{folder}/train{seed}"])
            search = ["--trials", given.trials, "--folds", given.folds, "--metric", given.metric, *given.tune.split()]
            tuned, took = run([given.program, "tune", *common, *search, "--out", f"{folder}/tune{seed}"])
            both = {"defaults": defaults["metrics"]["test"], "tuned": tuned["trained"]["metrics"]["test"]}
            line = []
            for name in shown:
                for which in both:
                    found[name][which].append(both[which][name])
                line.append(f"{name} {both['defaults'][name]:.4f} -> {both['tuned'][name]:.4f}")
            print(f"seed {seed}: {'  '.join(line)}  {took:.0f} s  {tuned['best']['values']}", flush=True)
    for name in shown:
        both = found[name]
        differences = [b - a for a, b in zip(both["defaults"], both["tuned"])]
        words = [f"{which} {mean:.4f} ± {deviation:.4f}" for which in both for mean, deviation in [mean_and_deviation(both[which])]]
        mean, deviation = mean_and_deviation(differences)
        print(f"{name}: {', '.join(words)}; difference {mean:+.4f} ± {deviation:.4f}")


main()
