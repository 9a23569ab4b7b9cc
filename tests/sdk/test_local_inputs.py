"""Inputs for a laptop, from the real store: fresh URLs on the way, and no byte but the plan's."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path

import pytest
from animus_sdk import Client, FileUnfit, TransferFailed
from animus_sdk.local.folders import StepFolder
from animus_sdk.local.inputs import Layout
from animus_sdk.local.objects import Objects
from animus_sdk.transfer.progress import Silent
from animus_sdk.transfer.stores import Store
from animus_sdk.wire.step_views import AttemptInputs

from tests.sdk.platforms import QUICK, unique

pytestmark = pytest.mark.stack


@pytest.fixture
def given(client: Client, tmp_path: Path) -> AttemptInputs:
    """A directory of two files, as an attempt is given it."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text(unique("a"))
    (folder / "sub" / "b.csv").write_text(unique("b"))
    pushed = client.datasets.push(unique("cancer"), [folder])
    files = client.datasets.files(pushed.version["id"])
    return AttemptInputs(
        attempt_id="a", run_id="r", step="train", attempt=1, spec={}, sandbox=None,
        parameters={"lr": 0.1}, source=None, commit=None, source_path=None,
        inputs=[
            {"name": "cancer", "kind": "manifest", "digest": pushed.version["digest"],
             "files": files},
        ],
    )  # fmt: skip


def lay_out(given: AttemptInputs, folder: Path, *, fresh: AttemptInputs | None = None) -> list[int]:
    """How often fresh URLs were asked for."""
    asked: list[int] = []

    def ask() -> AttemptInputs:
        asked.append(1)
        return fresh or given

    store = Store(retries=QUICK)
    cache = folder / "cache"
    objects = Objects(directory=cache, store=store, progress=Silent())
    place = StepFolder(root=folder / "step")
    try:
        Layout(said=given, ask=ask, objects=objects, folder=place).lay_out(fresh=False)
    finally:
        store.close()
    return asked


def spent(given: AttemptInputs) -> AttemptInputs:
    """As after ten minutes: the store takes no URL of it any more."""
    late = deepcopy(given)
    for file in late["inputs"][0]["files"]:
        url = file["download"]["url"]
        file["download"]["url"] = re.sub(r"(X-Amz-Signature=)[0-9a-f]+", r"\g<1>" + "0" * 64, url)
        assert file["download"]["url"] != url
    return late


def test_urls_that_have_expired_on_the_way_are_asked_for_again(
    given: AttemptInputs, tmp_path: Path
) -> None:
    assert len(lay_out(spent(given), tmp_path, fresh=given)) == 2
    inputs = tmp_path / "step" / "in" / "cancer"
    assert (inputs / "a.csv").read_text() == (tmp_path / "data/a.csv").read_text()
    assert (inputs / "sub" / "b.csv").read_text() == (tmp_path / "data/sub/b.csv").read_text()
    assert (tmp_path / "step" / "params.json").read_bytes() == b'{"lr":0.1}'
    assert lay_out(spent(given), tmp_path) == []  # nothing is fetched twice


def test_what_one_worked_on_is_kept_until_it_is_to_be_fresh(
    given: AttemptInputs, tmp_path: Path
) -> None:
    lay_out(given, tmp_path)
    mine = tmp_path / "step" / "work" / "mine.py"
    mine.write_text("x")
    (tmp_path / "step" / "in" / "cancer" / "stray").write_text("x")
    lay_out(given, tmp_path)
    assert mine.read_text() == "x"
    assert not (tmp_path / "step" / "in" / "cancer" / "stray").exists()


def test_other_files_than_the_plans_are_refused(given: AttemptInputs, tmp_path: Path) -> None:
    fewer, moved, other = (deepcopy(given) for _ in range(3))
    fewer["inputs"][0]["files"].pop()
    moved["inputs"][0]["files"][0]["path"] = "c.csv"
    other["inputs"][0]["files"][0]["download"]["size"] += 1
    for said in (fewer, moved, other):
        with pytest.raises(TransferFailed) as refused:
            lay_out(said, tmp_path)
        assert refused.value.code == "digest_mismatch"
    renewed = deepcopy(given)
    renewed["inputs"][0]["files"][0]["download"]["sha256"] = "sha256:" + "0" * 64
    with pytest.raises(TransferFailed, match="names other bytes for an input than before"):
        lay_out(spent(given), tmp_path, fresh=renewed)


def test_no_path_leads_out_of_the_folder(given: AttemptInputs, tmp_path: Path) -> None:
    outside, absolute, named = (deepcopy(given) for _ in range(3))
    outside["inputs"][0]["files"][0]["path"] = "../../x"
    absolute["inputs"][0]["files"][0]["path"] = "/x"
    named["inputs"][0]["name"] = "../x"
    for said in (outside, absolute, named):
        with pytest.raises(FileUnfit) as refused:
            lay_out(said, tmp_path)
        assert refused.value.code == "unsafe_path"


def test_a_digest_that_is_a_path_is_refused(given: AttemptInputs, tmp_path: Path) -> None:
    file = deepcopy(given["inputs"][0]["files"][0])
    file["download"]["sha256"] = "sha256:../../../x"
    said = deepcopy(given)
    said["inputs"] = [{"name": "a", "kind": "file", "digest": "sha256:../../../x", "files": [file]}]
    with pytest.raises(TransferFailed, match="what is no digest"):
        lay_out(said, tmp_path)
