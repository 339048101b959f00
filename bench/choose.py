"""How the defaults of the program were chosen: candidates compared on rows that no figure of BENCHMARKS.md is measured on.

    python bench/choose.py PELLUCID DATA FAMILY [--seeds N] [--best N]

FAMILY is one of those below. Images: the training file of MNIST alone, 50,000 rows to learn from and 10,000 to judge by;
small images: 1,500 and 5,000 of its rows, averaged down to 8x8. Tables: wine, breast cancer and diabetes from scikit-learn
and generated ones; large tables: the training file of Adult alone, cut in two by each seed, and a generated one. The test
files of MNIST and Adult, digits, and the small tables that BENCHMARKS.md reports are never opened.

Every candidate runs with the first seed; the best go on with the others. Prints a Markdown table, best first.
"""
import argparse, csv, gzip, itertools, json, pathlib, random, struct, subprocess, tempfile

import numpy as np
from sklearn import datasets

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("data", type=pathlib.Path)
parser.add_argument("family")
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--best", type=int, default=6, help="candidates that go on after the first seed")
arguments = parser.parse_args()


def product(template, **values):
    """The template filled in with every combination of values; `dropout 0 -> ` is left out."""
    for combination in itertools.product(*values.values()):
        filled = template.format(**dict(zip(values, combination)))
        yield filled.replace("dropout 0 -> ", "")


COMMON = "--optimizer adamw --weight-decay 0.01 --schedule cosine"
SMALL = "--epochs 200 --patience 50 --batch-size 16"
FAMILIES = {
    # name: (rows, candidates as flags; {net} stands in quotes)
    "mnist-128": ("mnist", product("--net|dropout {i} -> dense 128 relu -> dropout {h} -> dense 10|" + COMMON
        + " --epochs 20 --lr {lr} --batch-size {b}", i=[0, 0.1, 0.2], h=[0, 0.1, 0.2, 0.3], lr=["1e-3", "3e-3"], b=[64, 128])),
    "mnist-512": ("mnist", product("--net|dropout {i} -> dense 512 relu -> dropout {h} -> dense 512 relu -> dropout {h} -> dense 10|"
        + COMMON + " --epochs 20 --lr {lr} --batch-size 128", i=[0.1, 0.2], h=[0.3, 0.4, 0.5], lr=["1e-3", "2e-3"])),
    "images": ("mnist", product("--net|dropout {i} -> {n} -> dense|" + COMMON + " --epochs 15 --lr {lr} --batch-size 128 --patience 20",
        i=[0, 0.1, 0.2], n=["dense 256 relu -> dropout 0.3", "dense 256 relu -> dropout 0.3 -> dense 128 relu -> dropout 0.3",
        "dense 512 relu -> dropout 0.3"], lr=["1e-3", "3e-3"])),
    "small-images": ("mnist-8x8", product("--net|{n} -> dense|" + COMMON + " --epochs 80 --lr {lr} --batch-size 32 --patience 20",
        n=["dense 128 relu", "dense 128 relu -> dropout 0.3", "dense 256 relu -> dropout 0.3", "dense 256 relu -> dropout 0.5",
        "dense 256 relu -> dropout 0.3 -> dense 128 relu -> dropout 0.3", "dropout 0.1 -> dense 256 relu -> dropout 0.3",
        "dense 512 relu -> dropout 0.5"], lr=["1e-3", "3e-3"])),
    "small-classes": ("classes", product("--net|{n} -> dense|" + COMMON + " " + SMALL + " --lr {lr}",
        n=["dense 128 tanh -> dropout 0.3", "dense 64 relu -> dense 32 relu", "dense 64 tanh", "dense 64 relu -> dropout 0.2",
        "dense 128 relu -> dropout 0.3", "dense 64 relu -> dropout 0.3 -> dense 32 relu -> dropout 0.3", "dense 256 relu -> dropout 0.5"],
        lr=["1e-3", "3e-3"])),
    "small-numbers": ("numbers", product("--net|{n} -> dense|" + COMMON + " " + SMALL + " --lr {lr}",
        n=["dense 128 tanh -> dropout 0.3", "dense 64 relu -> dense 32 relu", "dense 64 tanh", "dense 64 relu",
        "dense 128 relu -> dropout 0.2", "dense 64 gelu -> dense 32 gelu", "dense 128 relu -> dense 64 relu"],
        lr=["1e-3", "3e-3"])),
    "medium": ("medium", product("--net|{n} -> dense|" + COMMON + " --epochs 100 --patience 20 --lr {lr} --batch-size 64",
        n=["dense 64 relu", "dense 128 relu -> dense 64 relu", "dense 128 relu -> dropout 0.2 -> dense 64 relu -> dropout 0.2",
        "dense 256 relu -> dropout 0.3", "dense 128 relu -> dropout 0.4 -> dense 64 relu -> dropout 0.4"], lr=["3e-4", "1e-3", "3e-3"])),
    "large": ("large", product("--net|{n} -> dense|" + COMMON + " --epochs 20 --patience 5 --lr {lr} --batch-size 256",
        n=["dense 64 relu", "dense 128 relu -> dropout 0.2 -> dense 64 relu -> dropout 0.2", "dense 256 relu -> dropout 0.3",
        "dense 128 relu -> dropout 0.4 -> dense 64 relu -> dropout 0.4", "dense 256 relu -> dropout 0.3 -> dense 128 relu -> dropout 0.3"],
        lr=["3e-4", "1e-3", "3e-3"])),
}


def mnist_train():
    def read(name, header):
        with gzip.open(arguments.data / "mnist" / name) as file:
            return np.frombuffer(file.read()[header:], np.uint8)
    return read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), read("train-labels-idx1-ubyte.gz", 8)


def write_idx(folder, images, labels, rows):
    for part, (first, end) in rows.items():
        x, y = images[first:end], labels[first:end]
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, *x.shape) + x.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(y)) + y.tobytes())


def write_table(folder, name, x, y, seed, fraction=0.2):
    order = np.random.default_rng(seed).permutation(len(y))
    held = int(len(y) * fraction)
    for part, rows in (("test", order[:held]), ("train", order[held:])):
        with open(folder / f"{name}-{part}.csv", "w", newline="") as file:
            csv.writer(file).writerows([*x[i], y[i]] for i in rows)
    return f"{folder}/{name}-train.csv --header no --target -1 --test {folder}/{name}-test.csv"


def adult(rows, seed):
    with open(arguments.data / "tables" / "adult-train.csv", newline="") as file:
        lines = [line for line in csv.reader(file, skipinitialspace=True) if line]
    random.Random(seed).shuffle(lines)
    return [line[:-1] for line in lines[:rows]], [line[-1] for line in lines[:rows]]


def words(y):
    return [f"class {value}" for value in y]


def tasks(rows, seed, folder):
    """Names, arguments and the metric of what a candidate is judged by."""
    if rows == "mnist":
        images, labels = mnist_train()
        write_idx(folder, images, labels, {"train": (0, 50_000), "t10k": (50_000, 60_000)})
        return [("mnist-train", f"mnist --data-dir {folder}", "accuracy")]
    if rows == "mnist-8x8":
        images, labels = mnist_train()
        order = np.random.default_rng(seed).permutation(len(labels))[:6500]
        small = images[order][:, 2:26, 2:26].reshape(-1, 8, 3, 8, 3).mean((2, 4)).astype(np.uint8)
        write_idx(folder, small, labels[order], {"train": (0, 1500), "t10k": (1500, 6500)})
        return [("mnist-8x8", f"mnist --data-dir {folder}", "accuracy")]
    make = datasets.make_classification
    if rows == "classes":
        wine, cancer = datasets.load_wine(), datasets.load_breast_cancer()
        few = make(300, 6, n_informative=4, n_redundant=1, n_classes=3, flip_y=0.1, random_state=seed)
        noisy = make(700, 10, n_informative=5, flip_y=0.2, random_state=seed)
        sources = {"wine": (wine.data, wine.target), "cancer": (cancer.data, cancer.target), "three of 300": few, "noisy 700": noisy}
        return [(n, write_table(folder, n.replace(" ", "-"), x, words(y), seed), "accuracy") for n, (x, y) in sources.items()]
    if rows == "numbers":
        diabetes = datasets.load_diabetes(scaled=False)
        sources = {"diabetes": (diabetes.data, diabetes.target), "friedman1": datasets.make_friedman1(400, noise=1.0, random_state=seed),
                   "friedman2": datasets.make_friedman2(400, noise=50.0, random_state=seed)}
        return [(n, write_table(folder, n, x, y, seed), "r2") for n, (x, y) in sources.items()]
    if rows == "medium":
        x, y = adult(10_000, seed)
        friedman = datasets.make_friedman1(5000, noise=1.0, random_state=seed)
        many = make(8000, 20, n_informative=10, n_classes=4, flip_y=0.1, random_state=seed)
        return [("adult 10,000", write_table(folder, "adult", x, y, seed), "roc_auc"),
                ("friedman1 5,000", write_table(folder, "friedman", *friedman, seed), "r2"),
                ("four of 8,000", write_table(folder, "four", many[0], words(many[1]), seed), "accuracy")]
    x, y = adult(100_000, seed)
    friedman = datasets.make_friedman1(30_000, noise=1.0, random_state=seed)
    return [("adult-train", write_table(folder, "adult", x, y, seed), "roc_auc"),
            ("friedman1 30,000", write_table(folder, "friedman", *friedman, seed), "r2")]


def run(flags, data, seed, folder):
    start, net, rest = flags.split("|")
    command = [arguments.program, "train", *data.split(), start, net, *rest.split(), "--seed", str(seed), "--out", str(folder / "run"),
               "--force", "--json", "--quiet"]
    output = subprocess.run(command, capture_output=True, text=True)
    if output.returncode != 0:
        raise SystemExit(output.stderr)
    return json.loads(output.stdout)["metrics"]["test"]


rows, candidates = FAMILIES[arguments.family]
scores = {flags: [] for flags in candidates}
names = []
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for seed in range(arguments.seeds):
        parts = tasks(rows, seed, folder)
        names = [name for name, _, _ in parts]
        if seed == 1:
            ranked = sorted(scores, key=lambda flags: -np.mean(scores[flags][0]))
            scores = {flags: scores[flags] for flags in ranked[: arguments.best]}
        for flags in scores:
            scores[flags].append([run(flags, data, seed, folder)[metric] for _, data, metric in parts])
print("| candidate | mean | " + " | ".join(names) + " |\n|---|---|" + "---|" * len(names))
for flags, values in sorted(scores.items(), key=lambda item: -np.mean(item[1])):
    means = np.mean(values, 0)
    print(f"| {flags.replace('|', ' ').replace(COMMON, '')} | {means.mean():.4f} | " + " | ".join(f"{v:.4f}" for v in means) + " |")
