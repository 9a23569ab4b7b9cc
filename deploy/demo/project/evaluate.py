"""Judge the model on the test set that training never saw; two plots and the metrics."""

import json

import joblib
import matplotlib
from dataset import CLASSES, OUTPUT, split
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    RocCurveDisplay,
    accuracy_score,
    f1_score,
    roc_auc_score,
)

matplotlib.use("Agg")

_, features, _, labels = split()
model = joblib.load("/animus/in/model")
predicted = model.predict(features)
probability = model.predict_proba(features)[:, 1]
metrics = {
    "test_rows": len(labels),
    "accuracy": float(accuracy_score(labels, predicted)),
    "f1": float(f1_score(labels, predicted)),
    "roc_auc": float(roc_auc_score(labels, probability)),
}
(OUTPUT / "metrics.json").write_text(json.dumps(metrics, indent=2))
# The date that PNG files carry otherwise would make every run's picture another artifact.
undated = {"metadata": {"Software": None}}
matrix = ConfusionMatrixDisplay.from_predictions(labels, predicted, display_labels=CLASSES)
matrix.figure_.savefig(OUTPUT / "confusion-matrix.png", **undated)
curve = RocCurveDisplay.from_predictions(labels, probability)
curve.figure_.savefig(OUTPUT / "roc.png", **undated)
print(json.dumps(metrics))
