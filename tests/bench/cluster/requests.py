"""What an api server counts of its requests: by verb and resource, and those of one account."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from dataclasses import dataclass

from deploy.dev_cluster.clusters import Cluster
from deploy.kubernetes.rendering import ACCOUNT
from deploy.local.clusters import AGENT_NAMESPACE

FLOW = "animus-bench-agent"
PRIORITY = "workload-low"
"""As every service account has it anyway."""

_LINE = re.compile(r"^(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ALL, _DISPATCHED = "apiserver_request_total", "apiserver_flowcontrol_dispatched_requests_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    of_all: Counter[str]
    """By `VERB resource`: the agent's and those of controllers, scheduler and simulated nodes."""
    of_agent: int
    """But the following of logs, which the api server does not put into any queue."""


def count_agent_apart(cluster: Cluster) -> None:
    """A flow of its own for the agent's account: the api server counts each flow."""
    schema = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": FLOW},
        "spec": {
            "priorityLevelConfiguration": {"name": PRIORITY},
            "matchingPrecedence": 800,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [
                {
                    "subjects": [
                        {
                            "kind": "ServiceAccount",
                            "serviceAccount": {"name": ACCOUNT, "namespace": AGENT_NAMESPACE},
                        }
                    ],
                    "resourceRules": [
                        {
                            "verbs": ["*"],
                            "apiGroups": ["*"],
                            "resources": ["*"],
                            "namespaces": ["*"],
                            "clusterScope": True,
                        }
                    ],
                }
            ],
        },
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(schema, file)
        file.flush()
        cluster.kubectl("apply", "--filename", file.name)


def read_requests(cluster: Cluster) -> Requests:
    """Since the api server started."""
    of_all: Counter[str] = Counter()
    of_agent = 0
    for found in _LINE.finditer(cluster.kubectl("get", "--raw", "/metrics")):
        if found["name"] not in (_ALL, _DISPATCHED):
            continue
        labels = dict(_LABEL.findall(found["labels"]))
        if found["name"] == _ALL:
            resource = "/".join(
                part for part in (labels["resource"], labels["subresource"]) if part
            )
            of_all[f"{labels['verb']} {resource}"] += int(float(found["value"]))
        elif labels["flow_schema"] == FLOW:
            of_agent += int(float(found["value"]))
    return Requests(of_all=of_all, of_agent=of_agent)
