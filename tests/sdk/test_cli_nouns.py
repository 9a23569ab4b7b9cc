"""Every other noun of the command line: what it does, and what it answers to programs."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from animus_sdk import Client
from animus_sdk.wire import operations, views

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.platforms import IMAGE, Platform, pipeline, unique

POLICY = """\
schema: animus.policy/v1
description: Two reviewers
rules:
  - id: two-reviewers
    when: plan.classification == 'production'
    effect: require_approval
    reason: Two people answer for it.
    approval: {role: reviewer, quorum: 2, deadline: 2d}
"""
REQUIREMENTS = """\
# what we train with
--index-url https://mirror.example/simple
NumPy==2.1.0 \\
    --hash=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \\
    --hash=sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
"""


@pytest.fixture
def admin(command_line_of: CommandLineOf) -> CommandLine:
    return command_line_of("admin")


@pytest.fixture
def own_project(admin: CommandLine, platform: Platform) -> str:
    """A project of which admin and a second administrator are the only members."""
    second = unique("second")
    admin.json("person", "create", second)
    name = unique("own")
    admin.json("project", "create", name, "--member", f"{second}=admin,auditor")
    return name


def test_a_person_is_made_signs_in_and_is_ended(
    admin: CommandLine, command_line_of: CommandLineOf
) -> None:
    name, file = unique("person"), str(admin.folder / "token")
    assert admin.json("person", "create", name, "--display-name", "P")["kind"] == "person"
    issued = admin.json("person", "token", name, "--days", "1", "--token-file", file)
    assert issued["secret"] is None
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    person = command_line_of(None)
    assert person("login", "--token-file", file).code == 0
    assert person.json("whoami")["name"] == name
    assert person.json("logout")["forgotten"] is True
    assert person("whoami").code == 7
    assert name in [one["name"] for one in admin.json("person", "list")]
    assert admin.json("person", "disable", name)["disabled_at"] is not None
    assert person("login", "--token-file", file).code == 7
    assert admin("person", "token", "admin", "--token-file", file).code == 2  # it is there


def test_a_token_comes_from_standard_input_as_well(
    platform: Platform, command_line_of: CommandLineOf
) -> None:
    nobody = command_line_of(None)
    done = nobody.process("login", stdin=platform.tokens["engineer"] + "\n")
    assert (done.code, platform.tokens["engineer"] in done.out + done.err) == (0, False)
    assert "Signed in to" in done.out


def test_a_spent_bootstrap_token_is_refused(
    platform: Platform, command_line_of: CommandLineOf
) -> None:
    token = (platform.stack.layout.handed_over / "bootstrap-token").read_text()
    done = command_line_of(None)("login", "--bootstrap", token, "--name", "again")
    assert (done.code, "was used" in done.err) == (1, True)
    assert token not in done.err


def test_a_projects_name_is_remembered(command_line_of: CommandLineOf, platform: Platform) -> None:
    engineer = command_line_of("engineer")
    without = {k: v for k, v in engineer.environment.items() if k != "ANIMUS_PROJECT"}
    engineer = CommandLine(environment=without, folder=engineer.folder, capture=engineer.capture)
    assert engineer.problem("run", "list")[1]["code"] == "no_project"
    assert engineer.json("project", "use", platform.project)["id"] == platform.project_id
    assert engineer.json("run", "list")["runs"] is not None
    assert engineer.json("project", "show", platform.project_id)["name"] == platform.project
    assert platform.project in engineer("project", "list").out
    assert engineer("run", "list", "-P", unique("nowhere")).code == 2


def test_roles_are_granted_at_once_or_by_two(
    admin: CommandLine, own_project: str, platform: Platform
) -> None:
    inside = ("-P", own_project)
    granted = admin.json("role", "grant", "engineer", "viewer", *inside)
    assert granted["state"] == "applied"
    pending = admin.json("role", "grant", "engineer", "reviewer", *inside, code=3)
    assert pending["state"] == "pending"
    assert admin.json("change", "list", *inside)[0]["id"] == pending["id"]
    assert admin("change", "confirm", pending["id"], *inside).code == 7  # one's own
    rejected = admin.json("change", "reject", pending["id"][-12:], "--reason", "no", *inside)
    assert rejected["state"] != "pending"
    assert ("engineer", "viewer") in [
        (binding["principal"], binding["role"]) for binding in admin.json("role", "list", *inside)
    ]
    admin.json("role", "revoke", "engineer", "viewer", *inside)
    assert admin("role", "revoke", "engineer", "viewer", *inside).code == 2
    assert "engineer" not in admin("role", "list", *inside).out


def test_a_service_account_has_a_person_and_a_token(
    admin: CommandLine, own_project: str, command_line_of: CommandLineOf
) -> None:
    inside, name = ("-P", own_project), unique("ci")
    made = admin.json("service-account", "create", name, *inside)
    assert made["kind"] == "service"
    admin.json("role", "grant", name, "editor", *inside)
    issued = admin.json("service-account", "token", name, *inside)
    robot = command_line_of(None).with_environment(ANIMUS_AUTH_TOKEN=issued["secret"])
    assert robot.json("whoami")["person_id"] == made["person_id"]
    assert name in admin("service-account", "list", *inside).out


def test_own_tokens_are_made_listed_and_revoked(animus: CommandLine) -> None:
    name = unique("token")
    made = animus("token", "create", name)
    secret = made.out.strip()
    other = animus.with_environment(ANIMUS_AUTH_TOKEN=secret)
    assert other("whoami").code == 0
    listed = animus("token", "list")
    assert name in listed.out
    assert secret not in listed.out + json.dumps(animus.json("token", "list"))
    assert animus.json("token", "revoke", name)["revoked_at"] is not None
    assert other("whoami").code == 7


def test_a_cluster_is_registered_with_a_key_from_openssl(admin: CommandLine) -> None:
    subprocess.run(
        "openssl genpkey -algorithm ed25519 | openssl pkey -pubout -out key.pem",
        shell=True, cwd=admin.folder, check=True,
    )  # fmt: skip
    name, file = unique("cluster"), str(admin.folder / "agent-token")
    made = admin.json(
        "cluster", "register", name, "--result-key", "key.pem", "--host", "h", "--token-file", file
    )
    assert (made["cluster"]["name"], made["token"]["secret"]) == (name, None)
    assert Path(file).read_text().startswith("an")
    assert name in admin("cluster", "list").out
    assert f"Retired {name}" in admin("cluster", "retire", name).out
    assert admin.json("cluster", "retire", name)["retired_at"] is not None


def test_a_dataset_is_pushed_looked_at_and_downloaded(animus: CommandLine) -> None:
    (animus.folder / "data").mkdir()
    (animus.folder / "data" / "a.csv").write_text(unique("a"))
    name = unique("cancer")
    pushed = animus.json("dataset", "push", name, "data", "--description", "Wisconsin")
    assert (pushed["uploaded"], pushed["already_stored"], pushed["new_version"]) == (1, 0, True)
    (animus.folder / "b.csv").write_text(unique("b"))
    said = animus("dataset", "push", name, "data", "b.csv")
    assert "uploaded 1 (" in said.out
    assert "1 in the store already" in said.out
    assert name in animus("dataset", "list").out
    assert len(animus.json("dataset", "show", name)["versions"]) == 2
    shown = animus.json("dataset", "show", f"{name}@1")
    assert [file["path"] for file in shown["listed_files"]] == ["a.csv"]
    assert animus("dataset", "download", f"{name}@latest").code == 0
    assert (animus.folder / f"{name}-2" / "data" / "a.csv").exists()
    again = animus.json("dataset", "download", f"{name}@1", "--to", "data")
    assert again["already_there"] == 1


def test_an_environment_is_locked_from_images_and_requirements(animus: CommandLine) -> None:
    (animus.folder / "requirements.txt").write_text(REQUIREMENTS)
    name = unique("env")
    made = animus.json(
        "env", "lock", name, "--image", f"runtime={IMAGE}", "--requirements", "requirements.txt"
    )
    (package,) = made["document"]["packages"]
    assert (package["name"], package["version"], len(package["hashes"])) == ("numpy", "2.1.0", 2)
    (animus.folder / "lock.json").write_text(json.dumps(made["document"]))
    assert animus.json("env", "lock", name, "lock.json")["id"] == made["id"]
    assert animus.json("env", "show", name)["version"] == 1
    assert animus.json("env", "show", made["digest"])["id"] == made["id"]
    assert "numpy" in animus("env", "show", made["id"]).out
    assert made["digest"] in animus("env", "list").out
    (animus.folder / "requirements.txt").write_text("numpy>=2\n")
    done = animus(
        "env", "lock", name, "--image", f"r={IMAGE}", "--requirements", "requirements.txt"
    )
    assert (done.code, "requirements.txt:1: only pinned" in done.err) == (2, True)


def test_another_image_in_a_lock_is_the_next_version_of_its_environment(
    animus: CommandLine,
) -> None:
    name = unique("env")
    animus.json("env", "define", name, "--image", "runtime=localhost/animus-demo")
    animus.json("env", "lock", name, "--image", f"runtime={IMAGE}")
    assert animus.json("env", "show", name)["version"] == 1
    animus.json("env", "lock", name, "--image", f"other={IMAGE}")
    assert animus.json("env", "show", name)["version"] == 2


def test_a_pipeline_is_checked_shown_and_registered(animus: CommandLine) -> None:
    (animus.folder / "p.json").write_text(json.dumps(pipeline(data=False)))
    checked = animus.json("pipeline", "check", "p.json")
    assert checked["spec"]["kind"] == "Pipeline"
    assert animus("pipeline", "show", "p.json").out.startswith("apiVersion: animus/v1\n")
    assert animus.json("pipeline", "register", "p.json")["digest"] == checked["digest"]
    assert animus.json("pipeline", "show", checked["digest"])["spec"] == checked["spec"]
    assert checked["digest"] in animus("pipeline", "list").out


def test_a_policy_is_drafted_and_published_by_two(admin: CommandLine, own_project: str) -> None:
    inside = ("-P", own_project)
    (admin.folder / "policy.yaml").write_text(POLICY)
    admin.json("policy", "create", "credit", *inside)
    assert admin.json("policy", "add", "credit", "policy.yaml", *inside)["state"] == "draft"
    pending = admin.json("policy", "publish", "credit", "1", "--reason", "new", *inside, code=3)
    assert pending["subject"]["policy"] == "credit"
    assert "two-reviewers" in admin("policy", "show", "credit", *inside).out
    assert "credit" in admin("policy", "list", *inside).out
    (admin.folder / "policy.yaml").write_text(POLICY.replace("effect:", "efect:"))
    done = admin("policy", "add", "credit", "policy.yaml", *inside)
    assert (done.code, "policy.yaml:6:5: " in done.err) == (2, True)


def test_audit_events_are_listed_by_run_and_by_result(
    platform: Platform, animus: CommandLine, admin: CommandLine
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    inside = ("-P", platform.project_id)
    admin_page = admin.json("audit", "list", "--run", run_id, *inside)
    assert admin_page["events"][0]["action"] == "run.submitted"
    first = admin_page["events"][0]["index"]
    later = admin.json("audit", "list", "--run", run_id, "--after", str(first), *inside)
    assert later["events"] == admin_page["events"][1:]
    assert "run.submitted" in admin("audit", *inside).out
    assert admin("audit", "list", "--since", "yesterday", *inside).code == 2
    with admin.on_terminal("audit", "follow", "--run", run_id, *inside) as person:
        person.wait_for("run.planned")
        person.interrupt()
        assert person.end() == 130


def test_metrics_are_shown_the_last_of_each_or_all_of_one(
    platform: Platform, animus: CommandLine, client: Client
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    points = [{"name": "loss", "step_number": n, "value": 1 / (n + 1)} for n in range(3)]
    client.runs._scope.call(
        operations.LOG_METRICS, views.Accepted, body={"points": points}, run_id=run_id
    )
    assert [line.split() for line in animus("run", "metrics", run_id).out.splitlines()[1:]] == [
        ["loss", "2", "0.333333"]
    ]
    assert len(animus("run", "metrics", run_id, "--name", "loss").out.splitlines()) == 4
    assert len(animus.json("run", "metrics", run_id)) == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_a_shell(animus: CommandLine, shell: str) -> None:
    script = animus("completion", shell).out
    assert "_ANIMUS_COMPLETE" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_completion_completes(animus: CommandLine) -> None:
    asked = animus.with_environment(
        _ANIMUS_COMPLETE="complete_bash", COMP_WORDS="animus run s", COMP_CWORD="2"
    )
    assert asked.process().out.split() == ["submit", "show"]


def test_every_command_has_help_without_colour(animus: CommandLine) -> None:
    done = animus.process("run", "submit", "--help")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "--expect" in done.out
