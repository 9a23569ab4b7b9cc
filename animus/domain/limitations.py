"""Limitations: recorded reasons why a claim about a run is weaker than it could be."""

from __future__ import annotations

from enum import StrEnum

from animus.domain.documents import Document


class LimitationCode(StrEnum):
    CODE_MISSING = "code_missing"
    CODE_CLAIMED = "code_claimed"
    CODE_UNCOMMITTED = "code_uncommitted"
    SUBMODULE = "submodule"
    SUBMODULES_MORE = "submodules_more"
    LFS_POINTER = "lfs_pointer"
    LFS_POINTERS_MORE = "lfs_pointers_more"
    CHANGED_FILE = "changed_file"
    CHANGED_FILES_MORE = "changed_files_more"
    CODE_IN_IMAGE = "code_in_image"
    ENVIRONMENT_UNLOCKED = "environment_unlocked"
    PACKAGES_UNLOCKED = "packages_unlocked"
    DATASET_MISSING = "dataset_missing"
    RUNTIME_RUNC = "runtime_runc"
    CONTAINER_EXECUTOR = "container_executor"
    EGRESS_UNFILTERED = "egress_unfiltered"
    EGRESS_SHARED = "egress_shared"
    EGRESS_BY_ADDRESS = "egress_by_address"
    TELEMETRY_NETWORK = "telemetry_network"
    PLACEMENT_IGNORED = "placement_ignored"


EXPLANATIONS: dict[LimitationCode, str] = {
    LimitationCode.CODE_MISSING: "No commit is named: nobody can tell which code ran.",
    LimitationCode.CODE_CLAIMED: "The commit is claimed, not recomputed from the bytes that ran.",
    LimitationCode.CODE_UNCOMMITTED: "The code that runs differs from the commit that is named.",
    LimitationCode.SUBMODULE: "A submodule's content is not part of the proved source.",
    LimitationCode.SUBMODULES_MORE: "More submodules are outside the proved source than are named.",
    LimitationCode.LFS_POINTERS_MORE: "More files are Git LFS pointers than are named.",
    LimitationCode.LFS_POINTER: "A file is a Git LFS pointer; its content is not proved.",
    LimitationCode.CHANGED_FILE: "A file differs from the commit.",
    LimitationCode.CHANGED_FILES_MORE: "More files differ from the commit than are named.",
    LimitationCode.CODE_IN_IMAGE: "The code is only in the image; its commit is a claim.",
    LimitationCode.ENVIRONMENT_UNLOCKED: "No environment lock: only the image digests are known.",
    LimitationCode.PACKAGES_UNLOCKED: "The lock names no packages; only the image digest is known.",
    LimitationCode.DATASET_MISSING: "The pipeline reads no dataset version that Animus knows.",
    LimitationCode.RUNTIME_RUNC: "runc and crun share the host's kernel with the step: no sandbox.",
    LimitationCode.CONTAINER_EXECUTOR: "One machine's container engine, not a cluster: its "
    "administrator can reach into a running step.",
    LimitationCode.EGRESS_UNFILTERED: "This executor cannot limit egress to the hosts named: the "
    "step reaches every host.",
    LimitationCode.EGRESS_SHARED: "A pod has one network: what the namespace's policies let fetch "
    "and collect reach, the step reaches too.",
    LimitationCode.EGRESS_BY_ADDRESS: "A cluster's network policies know addresses, not names: the "
    "step reaches what whoever runs the cluster says is behind the hosts named.",
    LimitationCode.PLACEMENT_IGNORED: "The environment's placement is for a cluster: this executor "
    "has no nodes to choose from, and runs the step under its own runtime.",
    LimitationCode.TELEMETRY_NETWORK: "The step reaches the api and, with signed URLs, the store.",
}

PRODUCTION_NEEDS = frozenset(
    {
        LimitationCode.CODE_MISSING,
        LimitationCode.ENVIRONMENT_UNLOCKED,
        LimitationCode.DATASET_MISSING,
    }
)
"""A production run with one of these is rejected, unless a published policy accepts it."""


class Limitation(Document):
    """`subject` names what it is about (a step, a path, an alias), or is empty for the run."""

    code: LimitationCode
    subject: str = ""
