"""The demo's project: the data of its second run."""

from __future__ import annotations

from pathlib import Path

from deploy.demo.projects import DATA, withdraw_patients


def test_withdrawn_rows_are_gone_and_the_header_says_so(tmp_path: Path) -> None:
    (tmp_path / DATA).mkdir()
    file = tmp_path / DATA / "breast_cancer.csv"
    file.write_text("4,2,malignant,benign\n1.0,1e-05,0\n2,3,1\n4,5,1\n6,7,0\n")
    withdraw_patients(tmp_path, 2)
    assert file.read_bytes() == b"2,2,malignant,benign\n1.0,1e-05,0\n2,3,1\n"
