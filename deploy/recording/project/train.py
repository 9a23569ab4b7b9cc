import csv
import os
from pathlib import Path

import joblib
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_score

rate = float(os.environ["ANIMUS_PARAM_LR"])
with open("/animus/in/churn/churn.csv") as file:
    rows = [
        (float(r["tenure"]), float(r["charges"]), int(r["churned"])) for r in csv.DictReader(file)
    ]
features, labels = [row[:2] for row in rows], [row[2] for row in rows]
model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=rate, random_state=7)
print(f"accuracy {cross_val_score(model, features, labels, cv=5).mean():.4f}")
joblib.dump(model.fit(features, labels), Path("/animus/out/model"))
