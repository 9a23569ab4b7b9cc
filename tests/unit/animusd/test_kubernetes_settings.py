"""Where an agent of a cluster runs steps: a namespace that was given, or those that it owns."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from animusd.cluster_wiring import latch_of
from animusd.settings import KubernetesSection, SettingsUnfit

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


SWITCHED = {"namespace": "runs", "egress": "switched"}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://192.0.2.10", "192.0.2.10:80"),
        ("https://192.0.2.10/api", "192.0.2.10:443"),
        ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080"),
    ],
)
def test_where_egress_is_switched_api_and_store_are_what_must_not_be_reached(
    url: str, place: str
) -> None:
    said = SWITCHED | {"store_address": "192.0.2.11:443", "gateway_url": url}
    latch = latch_of(KubernetesSection.model_validate(said))
    assert latch is not None
    assert latch.places == (place, "192.0.2.11:443")


def test_what_must_not_be_reached_is_said_by_address() -> None:
    """A name can't be asked for any more where the network is closed: it would look closed."""
    said = SWITCHED | {"store_address": "192.0.2.11:443", "gateway_url": "https://animus.example"}
    with pytest.raises(SettingsUnfit, match="egress_addresses"):
        latch_of(KubernetesSection.model_validate(said))
    addresses = ("192.0.2.10:443", "[2001:db8::1]:443", "192.0.2.11:443")
    latch = latch_of(KubernetesSection.model_validate(said | {"egress_addresses": addresses}))
    assert latch is not None
    assert latch.places == addresses
    with pytest.raises(ValidationError):
        KubernetesSection.model_validate(said | {"egress_addresses": ["store.example:443"]})
