"""Where an agent of a cluster runs steps: a namespace that was given, or those that it owns."""

from __future__ import annotations

from typing import Any

import pytest

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
    ],
)
def test_settings_that_say_two_things_or_none_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs"):
        KubernetesSection.model_validate(URL | said)
