"""The objects of an attempt, compared with a committed one and asked for their promises."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from animus.adapters.kubernetes.manifests import Uncommanded, job_of, knows_given, secrets_of
from animus.domain.canonical import JsonObject
from animus.domain.secrets import SecretValue, StepSecret
from animus.ports import AttemptTask
from tests.unit.adapters.kubernetes.tasks import SITE, SWITCHED, make_task

GOLDEN = Path(__file__).parent / "job.json"
GOLDEN_SWITCHED = Path(__file__).parent / "job-switched.json"


def with_secret(mark: str) -> AttemptTask:
    value = SecretValue(b"correct horse")
    task = make_task(secrets=[{"name": "password", "secretRef": "password"}])
    given = StepSecret(name="password", value=value)
    return replace(task, secrets=(given,) if mark else (), secrets_mark=mark)


def test_a_job_says_whether_its_main_was_given_what_the_store_has_now() -> None:
    job = job_of(with_secret("one"), SITE)
    assert knows_given(with_secret("one"), job)
    assert not knows_given(with_secret("another"), job)
    assert not knows_given(with_secret(""), job)  # they can't be had any more
    assert not knows_given(with_secret(""), job_of(with_secret(""), SITE))
    assert knows_given(make_task(), job_of(make_task(), SITE))


def pod_of(job: JsonObject) -> JsonObject:
    spec: JsonObject = job["spec"]["template"]["spec"]
    return spec


def containers_of(job: JsonObject) -> dict[str, JsonObject]:
    pod = pod_of(job)
    return {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}


def variables_of(container: JsonObject) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def test_the_job_is_the_committed_one() -> None:
    assert job_of(make_task(), SITE) == json.loads(GOLDEN.read_text())


def test_with_switched_egress_the_job_is_the_other_committed_one() -> None:
    task = make_task(egress=[{"host": "pypi.example", "port": 443}])
    assert job_of(task, SWITCHED) == json.loads(GOLDEN_SWITCHED.read_text())


def test_equal_attempts_have_equal_jobs() -> None:
    assert job_of(make_task(), SITE) == job_of(make_task(), SITE)


def test_no_token_is_in_the_job_and_main_sees_none() -> None:
    task = make_task(telemetry=True, run_token="run-secret")
    job = job_of(task, SITE)
    assert "secret" not in json.dumps(job).replace("secretName", "").replace('"secret"', "")
    mounts = {
        name: {mount["name"] for mount in each["volumeMounts"]}
        for name, each in containers_of(job).items()
    }
    assert "token" in mounts["fetch"]
    assert "token" in mounts["collect"]
    assert "token" not in mounts["main"]
    assert "run-token" in mounts["main"]
    assert "run-token" not in mounts["fetch"] | mounts["collect"]


def test_each_token_has_a_secret_of_its_own_that_the_job_owns() -> None:
    job = job_of(make_task(), SITE)
    job["metadata"]["uid"] = "the-uid"
    secrets = list(secrets_of(make_task(telemetry=True, run_token="run-secret"), job))
    assert [list(each["data"]) for each in secrets] == [["attempt-token"], ["run-token"]]
    volumes = {each["name"]: each for each in pod_of(job_of(_with_telemetry(), SITE))["volumes"]}
    named = [volumes[name]["secret"]["secretName"] for name in ("token", "run-token")]
    assert [each["metadata"]["name"] for each in secrets] == named
    assert all(each["metadata"]["ownerReferences"][0]["uid"] == "the-uid" for each in secrets)


def test_secrets_of_the_step_are_mains_alone_and_in_no_object_but_their_own() -> None:
    value = SecretValue(b"correct horse")
    references = [{"name": "password", "secretRef": "warehouse/password"}]
    task = replace(
        make_task(secrets=references), secrets=(StepSecret(name="password", value=value),)
    )
    job = job_of(task, SITE)
    job["metadata"]["uid"] = "the-uid"
    written = json.dumps(job)
    assert "correct horse" not in written + repr(task)
    assert b64encode(value.reveal()).decode() not in written
    _, secret = secrets_of(task, job)
    assert secret["data"] == {"password": b64encode(value.reveal()).decode()}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "the-uid"
    volumes = {each["name"]: each for each in pod_of(job)["volumes"]}
    assert volumes["secrets"]["secret"] == {
        "secretName": secret["metadata"]["name"], "defaultMode": 0o440,
    }  # fmt: skip
    mounts = {
        name: [m for m in each["volumeMounts"] if m["name"] == "secrets"]
        for name, each in containers_of(job).items()
    }
    assert mounts == {
        "fetch": [], "collect": [],
        "main": [{"name": "secrets", "mountPath": "/animus/secrets", "readOnly": True}],
    }  # fmt: skip
    assert not any("horse" in each for each in variables_of(containers_of(job)["main"]).values())


def test_every_container_is_confined() -> None:
    job = job_of(make_task(), SITE)
    for container in containers_of(job).values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    pod = pod_of(job)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False


def test_no_user_is_named_where_the_cluster_assigns_one() -> None:
    assert "runAsUser" not in pod_of(job_of(make_task(), SITE))["securityContext"]
    fixed = pod_of(job_of(make_task(), replace(SITE, user=10_001)))["securityContext"]
    assert (fixed["runAsUser"], fixed["runAsGroup"]) == (10_001, 0)
    assert "fsGroup" not in fixed


@pytest.mark.parametrize("text", ["$(HOME)", "$$(HOME)", "a$b", "$", "$$$", "plain"])
def test_texts_reach_main_as_they_were_written(text: str) -> None:
    task = make_task(command=["echo"], args=[text], env=[{"name": "X", "value": text}])
    main = containers_of(job_of(task, SITE))["main"]
    assert expanded(main["command"][-1]) == text
    assert expanded(variables_of(main)["X"]) == text


def expanded(text: str) -> str:
    """As Kubernetes does (third_party/forked/golang/expansion): `$$` is `$`; and `$(` would be a
    reference, which none of ours may be."""
    out, rest = "", text
    while rest:
        assert not rest.startswith("$(")
        step = 2 if rest.startswith("$$") else 1
        out, rest = out + rest[0], rest[step:]
    return out


def test_a_step_without_a_command_is_refused() -> None:
    with pytest.raises(Uncommanded):
        job_of(make_task(command=[]), SITE)


def test_a_promised_sandbox_is_the_pods_runtime_class() -> None:
    assert pod_of(job_of(make_task(sandbox="gvisor"), SITE))["runtimeClassName"] == "gvisor"
    assert "runtimeClassName" not in pod_of(job_of(make_task(), SITE))


def test_gpus_are_asked_for_by_the_clusters_name_of_them() -> None:
    asked: dict[str, Any] = {"cpu": "1", "memory": "1Gi", "gpu": 2, "ephemeralStorage": "1Gi"}
    site = replace(SITE, gpu_resource="amd.com/gpu")
    main = containers_of(job_of(make_task(resources=asked), site))["main"]
    assert main["resources"]["limits"]["amd.com/gpu"] == "2"


def test_a_step_may_say_which_devices_it_needs() -> None:
    asked: dict[str, Any] = {
        "cpu": "1", "memory": "1Gi", "gpu": 2, "gpuResource": "nvidia.com/mig-1g.10gb",
        "ephemeralStorage": "1Gi",
    }  # fmt: skip
    limits = containers_of(job_of(make_task(resources=asked), SITE))["main"]["resources"]["limits"]
    assert limits["nvidia.com/mig-1g.10gb"] == "2"
    assert SITE.gpu_resource not in limits


def test_main_gets_its_parameters_and_its_place_in_the_run() -> None:
    variables = variables_of(containers_of(job_of(make_task(), SITE))["main"])
    assert variables["ANIMUS_PARAM_RATE"] == "0.5"
    assert variables["ANIMUS_STEP"] == "train"
    assert not any("TOKEN" in name or "GATEWAY" in name for name in variables)


def test_telemetry_gives_main_the_gateway_and_its_own_token() -> None:
    site = replace(SITE, store_address="10.0.0.1:9000")
    variables = variables_of(containers_of(job_of(_with_telemetry(), site))["main"])
    assert variables["ANIMUS_GATEWAY_URL"] == "https://animus.example"
    assert variables["ANIMUS_RUN_TOKEN_FILE"] == "/animus/token/run-token"
    assert variables["ANIMUS_STORE_ADDRESS"] == "10.0.0.1:9000"


def _with_telemetry() -> Any:
    return make_task(telemetry=True, run_token="run-secret")
