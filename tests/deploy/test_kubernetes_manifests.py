"""The manifests as text: what they grant and to whom. Clusters judge them in `tests/cluster`."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from animus.adapters.kubernetes.examination import NEEDED, SWITCHING
from animus.adapters.kubernetes.landlord_examination import LANDLORDS_NEED
from animus.adapters.kubernetes.project_namespaces import STEPS_ROLE
from deploy.embedded.errors import StackError
from deploy.kubernetes.__main__ import main
from deploy.kubernetes.rendering import Endpoint, Grant, Grounds, render, render_owned

RUNS, AGENT = "ml-runs", "ml-agent"
Manifest = dict[str, Any]


def manifests_of(**how: Any) -> list[Manifest]:
    return list(yaml.safe_load_all(render(Grounds(namespace=RUNS, agent_namespace=AGENT, **how))))


def named(kind: str, name: str | None = None, **how: Any) -> Manifest:
    (found,) = (
        each
        for each in manifests_of(**how)
        if each["kind"] == kind and name in (None, each["metadata"]["name"])
    )
    return found


def egress_of(**how: Any) -> list[Manifest]:
    rules: list[Manifest] = named("NetworkPolicy", "egress-store", **how)["spec"]["egress"]
    return rules


def test_nothing_is_cluster_wide_and_nothing_lies_elsewhere() -> None:
    manifests = manifests_of()
    kinds = {each["kind"] for each in manifests}
    assert kinds == {
        *("Namespace", "ServiceAccount", "Role", "RoleBinding"),
        *("NetworkPolicy", "ResourceQuota", "LimitRange"),
    }
    namespaces = {each["metadata"]["name"] for each in manifests if each["kind"] == "Namespace"}
    assert namespaces == {RUNS, AGENT}
    inside = [each for each in manifests if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in inside} == namespaces


def test_the_agent_may_do_this_and_no_more() -> None:
    granted = {
        resource: set(rule["verbs"])
        for rule in named("Role")["rules"]
        for resource in rule["resources"]
    }
    assert granted == {
        "jobs": {"create", "get", "list", "watch", "patch", "delete"},
        "pods": {"list", "watch", "delete"},
        "pods/log": {"get"},
        "events": {"list", "watch"},
        "secrets": {"create", "delete"},
    }
    assert granted == {resource: set(verbs) for _, resource, verbs in NEEDED}, "as doctor asks"
    assert {group for rule in named("Role")["rules"] for group in rule["apiGroups"]} == {
        "", "batch",
    }  # fmt: skip


def verbs_of_pods(rules: list[Manifest]) -> list[str]:
    (found,) = (rule["verbs"] for rule in rules if rule["resources"] == ["pods"])
    verbs: list[str] = found
    return verbs


def test_an_agent_that_switches_egress_may_patch_pods_held_by_a_policy() -> None:
    kinds = {each["kind"] for each in manifests_of(switches=True)}
    assert {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} <= kinds
    switched = verbs_of_pods(named("Role", switches=True)["rules"])
    assert switched == [*verbs_of_pods(named("Role")["rules"]), "patch"]
    (right,) = SWITCHING
    assert right == ("", "pods", ("patch",))
    policy = named("ValidatingAdmissionPolicy", switches=True)["spec"]
    assert policy["failurePolicy"] == "Fail"
    (condition,) = policy["matchConditions"]
    assert condition["expression"].endswith(f"== 'system:serviceaccount:{AGENT}:animus-agent'")


def test_the_role_is_held_by_the_agents_account_alone() -> None:
    binding = named("RoleBinding")
    account = named("ServiceAccount", "animus-agent")["metadata"]
    assert binding["metadata"]["namespace"] == RUNS
    assert binding["subjects"] == [{"kind": "ServiceAccount", **account}]
    assert account["namespace"] == AGENT


def test_steps_are_restricted_and_have_no_identity() -> None:
    labels = named("Namespace", RUNS)["metadata"]["labels"]
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
    default = named("ServiceAccount", "default")
    assert default["metadata"]["namespace"] == RUNS
    assert default["automountServiceAccountToken"] is False


def test_pods_reach_nothing_unless_their_label_says_so() -> None:
    everything = named("NetworkPolicy", "deny-all")["spec"]
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    labelled = named("NetworkPolicy", "egress-store")["spec"]
    assert labelled["podSelector"] == {"matchLabels": {"animus.io/egress": "store"}}
    assert labelled["policyTypes"] == ["Egress"]


def test_what_is_reached_is_named_address_by_address_and_port_by_port() -> None:
    reach = [Endpoint.parse("192.0.2.10:443"), Endpoint.parse("[2001:db8::/64]:9000")]
    assert egress_of(reach=reach) == [
        {
            "to": [{"ipBlock": {"cidr": "192.0.2.10/32"}}],
            "ports": [{"protocol": "TCP", "port": 443}],
        },
        {
            "to": [{"ipBlock": {"cidr": "2001:db8::/64"}}],
            "ports": [{"protocol": "TCP", "port": 9000}],
        },
    ]


def test_in_the_cluster_only_marked_pods_of_the_agents_namespace_are_reached() -> None:
    assert egress_of() == [
        {
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": AGENT}},
                    "podSelector": {"matchLabels": {"animus.io/serves-steps": "true"}},
                }
            ]
        }
    ]


def test_names_are_asked_for_on_request_only() -> None:
    (dns,) = (rule for rule in egress_of(dns=True) if rule not in egress_of())
    assert {port["port"] for port in dns["ports"]} == {53}


@pytest.mark.parametrize("text", ["api.example.test:443", "192.0.2.10", "192.0.2.1/24:443", ":1",
                                  "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:https"])  # fmt: skip
def test_what_is_no_address_with_a_port_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="ADDRESS:PORT"):
        Endpoint.parse(text)


def test_what_plans_may_grant_is_a_policy_for_pods_with_its_label_alone() -> None:
    grant = Grant.parse("pypi.example:443=192.0.2.30/32,2001:db8::/64")
    spec = named("NetworkPolicy", grant.name, grants=[grant])["spec"]
    assert spec == {
        "podSelector": {"matchLabels": {grant.label: "granted"}},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [
                    {"ipBlock": {"cidr": "192.0.2.30/32"}},
                    {"ipBlock": {"cidr": "2001:db8::/64"}},
                ],
                "ports": [{"protocol": "TCP", "port": 443}],
            }
        ],
    }


def test_an_address_is_where_it_says() -> None:
    assert Grant.parse("192.0.2.30:443") == Grant.parse("192.0.2.30:443=192.0.2.30/32")


@pytest.mark.parametrize("text", ["pypi.example:443", "pypi.example=192.0.2.30/32", "P:1=1.2.3.4",
                                  "a:0=1.2.3.4", "a:1=1.2.3.4/24", "a:1=", "=1.2.3.4"])  # fmt: skip
def test_what_is_no_grant_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="HOST:PORT=CIDR"):
        Grant.parse(text)


@pytest.mark.parametrize("name", ["", "Runs", "a_b", "-a", "a" * 64, "a\nb: c", "a.b"])
def test_what_is_no_name_of_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="names no namespace"):
        Grounds(namespace=RUNS, agent_namespace=name)


def test_the_agent_does_not_live_beside_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "--namespace", RUNS, "--agent-namespace", RUNS]) == 1
    told = capsys.readouterr()
    assert "namespace of its own" in told.err
    assert told.out == ""


def test_the_command_prints_what_is_applied(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["render", "--namespace", RUNS, "--agent-namespace", AGENT]
    assert main([*words, "--reach", "192.0.2.10:443", "--dns"]) == 0
    grounds = Grounds(
        namespace=RUNS, agent_namespace=AGENT, reach=[Endpoint.parse("192.0.2.10:443")], dns=True
    )
    assert capsys.readouterr().out == render(grounds)


def owned(kind: str, name: str, **how: Any) -> Manifest:
    printed = render_owned(prefix="ml-p-", agent_namespace=AGENT, **how)
    manifests: list[Manifest] = list(yaml.safe_load_all(printed))
    (found,) = (m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found


def test_in_namespaces_of_its_own_the_agent_may_do_what_it_does_in_a_given_one() -> None:
    for switches in (False, True):
        granted = owned("ClusterRole", STEPS_ROLE, switches=switches)["rules"]
        assert granted == named("Role", switches=switches)["rules"]
    held = "ValidatingAdmissionPolicy", f"animus-switching-{AGENT}"
    assert owned(*held, switches=True) == named(*held, switches=True)


def test_cluster_wide_it_makes_and_looks_and_binds_that_role_alone() -> None:
    rules = owned("ClusterRole", "animus-landlord")["rules"]
    granted = {
        (group, resource): tuple(rule["verbs"])
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    bind = granted.pop(("rbac.authorization.k8s.io", "clusterroles"))
    assert bind == ("bind",)
    assert [rule.get("resourceNames") for rule in rules if "bind" in rule["verbs"]] == [
        [STEPS_ROLE]
    ]
    assert granted == {(group, what): verbs for group, what, verbs in LANDLORDS_NEED}, "by doctor"


def test_the_policy_holds_the_agents_account_to_the_prefix() -> None:
    spec = owned("ValidatingAdmissionPolicy", "animus-landlord")["spec"]
    assert spec["failurePolicy"] == "Fail"
    (condition,) = spec["matchConditions"]
    assert condition["expression"].endswith(f"== 'system:serviceaccount:{AGENT}:animus-agent'")
    assert "startsWith('ml-p-')" in spec["validations"][0]["expression"]
    binding = owned("ValidatingAdmissionPolicyBinding", "animus-landlord")["spec"]
    assert binding == {"policyName": "animus-landlord", "validationActions": ["Deny"]}


@pytest.mark.parametrize("prefix", ["ml", "", "ML-", "ml-p-'", "-", "x" * 30 + "-"])
def test_a_prefix_that_begins_no_name_is_refused(prefix: str) -> None:
    with pytest.raises(StackError, match="begins no namespace's name"):
        render_owned(prefix=prefix, agent_namespace=AGENT)


def test_the_agents_own_namespace_is_none_of_those_it_makes() -> None:
    with pytest.raises(StackError, match="must not begin"):
        render_owned(prefix="ml-", agent_namespace=AGENT)


@pytest.mark.parametrize("command", ["render-owned", "template"])
def test_the_command_prints_what_an_owning_agent_needs(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--prefix", "ml-p-"] if command == "render-owned" else ["--reach", "192.0.2.1:80"]
    assert main([command, "--agent-namespace", AGENT, *more]) == 0
    assert all(yaml.safe_load_all(capsys.readouterr().out))
