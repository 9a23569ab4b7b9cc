"""Where an agent of a cluster runs steps: a namespace that was given, or those that it owns."""

from __future__ import annotations

from typing import Any

import pytest

from animusd.cluster_wiring import latch_of
from animusd.settings import KubernetesSection

URL = {"gateway_url": "https://animus.example"}
OWNED = {"namespaces": "owned", "prefix": "animus-p-", "template": "/etc/animus/namespace.yaml"}


def test_a_namespace_is_given_unless_it_is_said_otherwise() -> None:
    assert KubernetesSection.model_validate(URL | {"namespace": "runs"}).namespaces == "given"
    assert KubernetesSection.model_validate(URL | OWNED).namespaces == "owned"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"namespaces": "owned"},
        {"namespaces": "given", "prefix": "animus-p-", "namespace": "runs"},
        OWNED | {"namespace": "runs"},
        {key: value for key, value in OWNED.items() if key != "template"},
        {key: value for key, value in OWNED.items() if key != "prefix"},
        {"namespace": "runs", "egress": "switched"},
    ],
)
def test_settings_that_say_two_things_or_none_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs"):
        KubernetesSection.model_validate(URL | said)


def test_egress_is_shared_unless_it_is_said_otherwise() -> None:
    told = KubernetesSection.model_validate(URL | {"namespace": "runs"})
    assert told.egress == "shared"
    assert latch_of(told) is None


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://animus.example", "animus.example:443"),
        ("http://animus.example/api", "animus.example:80"),
        ("http://192.0.2.10:8080", "192.0.2.10:8080"),
        ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080"),
    ],
)
def test_where_egress_is_switched_api_and_store_are_what_must_not_be_reached(
    url: str, place: str
) -> None:
    said = {"namespace": "runs", "egress": "switched", "store_endpoint": "store.example:443"}
    latch = latch_of(KubernetesSection.model_validate(said | {"gateway_url": url}))
    assert latch is not None
    assert latch.places == (place, "store.example:443")
