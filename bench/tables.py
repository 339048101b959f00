"""Pellucid's defaults beside scikit-learn's MLP with standard scaling, on the same splits of small tables.

    python bench/tables.py PELLUCID DATA [--seeds N] [--first N]        # the program; the folder that holds tables/

Each seed takes a fifth of the rows (classes in proportion) as test file; both are given the other rows, and nothing but
the target. Prints a Markdown table: mean over the seeds of test accuracy, or of R² for numbers.
"""
import argparse, csv, json, pathlib, subprocess, tempfile, warnings

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.simplefilter("ignore")
parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("data", type=pathlib.Path)
parser.add_argument("--seeds", type=int, default=5)
parser.add_argument("--first", type=int, default=0, help="the first seed")
arguments = parser.parse_args()

TABLES = [("pima-indians-diabetes", True), ("iris", True), ("wheat-seeds", True), ("banknote_authentication", True), ("housing", False)]


def pellucid(folder, train, test, seed, classes):
    paths = [folder / "train.csv", folder / "test.csv"]
    for path, rows in zip(paths, (train, test)):
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows(rows)
    command = [arguments.program, "train", paths[0], "--target", "-1", "--test", paths[1], "--seed", str(seed),
               "--out", folder / "run", "--force", "--json", "--quiet", "--header", "no"]
    output = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if output.returncode != 0:
        raise SystemExit(output.stderr)
    result = json.loads(output.stdout)
    return result["metrics"]["test"]["accuracy" if classes else "r2"], result["train_seconds"]


def sklearn(train, test, seed, classes):
    numbers = lambda rows: np.array([[float(value) for value in row[:-1]] for row in rows])
    target = lambda rows: [row[-1] for row in rows] if classes else np.array([float(row[-1]) for row in rows])
    model = (MLPClassifier if classes else MLPRegressor)(random_state=seed)
    model = make_pipeline(StandardScaler(), model)
    y = target(train)
    if not classes:
        mean, std = np.mean(y), np.std(y)
        model.fit(numbers(train), (y - mean) / std)
        return r2_score(target(test), model.predict(numbers(test)) * std + mean)
    model.fit(numbers(train), y)
    return accuracy_score(target(test), model.predict(numbers(test)))


print("| table | metric | Pellucid | scikit-learn | seconds of training |\n|---|---|---|---|---|")
for name, classes in TABLES:
    with open(arguments.data / "tables" / f"{name}.csv", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    ours, theirs, seconds = [], [], []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        stratify = [row[-1] for row in rows] if classes else None
        train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=stratify)
        with tempfile.TemporaryDirectory() as folder:
            score, spent = pellucid(pathlib.Path(folder), train, test, seed, classes)
        ours.append(score)
        seconds.append(spent)
        theirs.append(sklearn(train, test, seed, classes))
    metric = "accuracy" if classes else "R²"
    print(f"| {name} | {metric} | {np.mean(ours):.4f} ± {np.std(ours):.4f} | {np.mean(theirs):.4f} ± {np.std(theirs):.4f} "
          f"| {np.mean(seconds):.2f} |", flush=True)
