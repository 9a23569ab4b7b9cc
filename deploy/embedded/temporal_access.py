"""Who may do what in Temporal: tokens that a key of the stack signs, and Temporal checks.

Temporal's own authorizer knows namespaces and no finer thing. So agents have one of their own,
and a right in no other: the worker may write in all, the operator alone may register one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.embedded.accounts import caller
from deploy.embedded.configuration import agent_namespace
from deploy.embedded.files import write_private

ALGORITHM = "ES256"
TOKEN_LIFE = timedelta(days=400)
"""Each start of the stack issues new ones."""

_SYSTEM = "temporal-system"


class TemporalAccess:
    """Issues tokens; as a JSON web key set, `public_keys` says how to check them."""

    def __init__(self, key: ECKey) -> None:
        self._key = key
        self._key_id = key.thumbprint()

    @classmethod
    def load_or_create(cls, file: Path) -> TemporalAccess:
        """The key in `file`, as PEM; it belongs to whoever started the stack."""
        if not file.exists():
            made = ECKey.generate_key("P-256", private=True)
            write_private(file, made.as_pem(private=True), owner=caller())
        return cls(ECKey.import_key(file.read_bytes()))

    def public_keys(self) -> str:
        public = self._key.as_dict(private=False)
        return json.dumps({"keys": [public | {"kid": self._key_id, "alg": ALGORITHM}]})

    def for_operator(self) -> str:
        """All: to register namespaces, and to see what nobody else may touch."""
        return self._token("operator", f"{_SYSTEM}:admin")

    def for_worker(self) -> str:
        """Workflows and activities in every namespace; none is made, changed or removed."""
        return self._token("worker", f"{_SYSTEM}:write")

    def for_agent(self, cluster: str) -> str:
        """The namespace of its cluster, and nothing else."""
        return self._token(f"agent-{cluster}", f"{agent_namespace(cluster)}:write")

    def _token(self, subject: str, permission: str) -> str:
        now = datetime.now(UTC)
        claims = {
            "sub": subject,
            "permissions": [permission],
            "iat": int(now.timestamp()),
            "exp": int((now + TOKEN_LIFE).timestamp()),
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self._key_id}, claims, self._key)
