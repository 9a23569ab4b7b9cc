"""Train a scaled logistic regression; log its metrics while it happens."""

import csv
from pathlib import Path

import animus_sdk
import joblib
from dataset import OUTPUT, parameters, split
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

chosen = parameters()
train_features, _, train_labels, _ = split()
model = make_pipeline(
    StandardScaler(), LogisticRegression(C=chosen["C"], random_state=chosen["seed"], max_iter=1_000)
)
scores = cross_val_score(model, train_features, train_labels, cv=5)
for fold, score in enumerate(scores):
    animus_sdk.log_metric("cv_accuracy", float(score), step=fold)
    print(f"fold {fold}: accuracy {score:.4f}")
model.fit(train_features, train_labels)
joblib.dump(model, OUTPUT / "model.joblib")

weights = Path("/tmp/coefficients.csv")
with weights.open("w", newline="") as file:
    csv.writer(file).writerows(enumerate(model[-1].coef_[0]))
animus_sdk.upload_artifact(weights, kind="table")
animus_sdk.log_event("model trained", folds=len(scores), mean_accuracy=float(scores.mean()))
