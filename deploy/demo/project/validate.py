"""Is the data what the model was designed for? Fails the run where it is not."""

import json
import sys

import numpy as np
from dataset import CLASSES, OUTPUT, load

features, labels = load()
checks = {
    "rows": len(labels) >= 500,
    "columns": features.shape[1] == 30,
    "no missing values": bool(np.isfinite(features).all()),
    "no negative measurements": bool((features >= 0).all()),
    "both classes present": set(labels) == {0, 1},
    "no duplicate rows": len(np.unique(features, axis=0)) == len(features),
}
report = {
    "checks": checks,
    "rows": len(labels),
    "columns": features.shape[1],
    "classes": {name: int((labels == number).sum()) for number, name in enumerate(CLASSES)},
    "passed": all(checks.values()),
}
(OUTPUT / "validation-report.json").write_text(json.dumps(report, indent=2))
print(json.dumps(report))
sys.exit(0 if report["passed"] else 1)
