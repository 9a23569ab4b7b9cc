"""The agent's secret store on its real parts. Each is loaded only where it is used."""

from __future__ import annotations

from animus.ports import SecretStore
from animusd.settings import AgentSection, AgeSection, ClusterSecretsSection, VaultSection


def open_secret_store(section: AgentSection) -> SecretStore | None:
    """What the settings name; nothing is asked of it yet. None where they name none."""
    told = section.secrets
    if told is None:
        return None
    if told.vault is not None:
        return _vault(told.vault)
    if told.kubernetes is not None:
        return _cluster(told.kubernetes)
    assert told.age is not None  # one of the three, say the settings
    return _file(told.age)


def _file(told: AgeSection) -> SecretStore:
    from animus.adapters.secret_stores.age import AgeFile, AgeStore

    return AgeStore(content=AgeFile(file=told.file, identity_file=told.identity_file))


def _cluster(told: ClusterSecretsSection) -> SecretStore:
    from animus.adapters.kubernetes.clients import KubernetesClient
    from animus.adapters.secret_stores.cluster import ClusterStore

    client = KubernetesClient.connect(kubeconfig=told.kubeconfig, namespace=told.namespace)
    return ClusterStore(client=client)


def _vault(told: VaultSection) -> SecretStore:
    from animus.adapters.secret_stores.vault import AppRoleLogin, KubernetesLogin, VaultStore

    mount = told.auth_mount or told.auth
    login = (
        AppRoleLogin(mount=mount, role_id=told.role, secret_id_file=told.credential_file)
        if told.auth == "approle"
        else KubernetesLogin(mount=mount, role=told.role, token_file=told.credential_file)
    )
    return VaultStore(
        address=told.address,
        login=login,
        mount=told.mount,
        prefix=told.prefix,
        ca_file=told.ca_file,
        namespace=told.namespace,
    )
