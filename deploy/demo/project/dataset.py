"""The data as the step finds it: the CSV of scikit-learn, split the same way in every step."""

import csv
import json
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

INPUT = Path("/animus/in/cancer/breast_cancer.csv")
OUTPUT = Path("/animus/out")
CLASSES = ("malignant", "benign")


def parameters() -> dict:
    return json.loads(Path("/animus/params.json").read_text())


def load() -> tuple[np.ndarray, np.ndarray]:
    """(features: 569 x 30, labels: 569). The first line says rows, columns and class names."""
    with INPUT.open(newline="") as file:
        rows, columns, *_ = next(csv.reader(file))
        values = np.loadtxt(file, delimiter=",")
    if values.shape != (int(rows), int(columns) + 1):
        raise ValueError(f"the header says {rows} x {columns}, the data is {values.shape}")
    return values[:, :-1], values[:, -1].astype(int)


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test features, training and test labels."""
    chosen = parameters()
    features, labels = load()
    return train_test_split(
        features,
        labels,
        test_size=chosen["test_size"],
        random_state=chosen["seed"],
        stratify=labels,
    )
