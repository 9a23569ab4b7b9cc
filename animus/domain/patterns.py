"""The patterns of names and references in documents, each with the sentence a person reads."""

from __future__ import annotations

NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
"""Valid as a path segment, in a URL and (nearly) as a Kubernetes label value."""
DIGEST = r"^sha256:[0-9a-f]{64}$"
IMAGE = r"^[a-z0-9][A-Za-z0-9._:/-]{0,380}@sha256:[a-f0-9]{64}$"
REPOSITORY = r"^[a-z0-9][A-Za-z0-9._:/-]{0,380}$"
PATH = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
HOST = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
MEDIA_TYPE = r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$"
CPU = r"^([1-9][0-9]{0,5}m|[0-9]{1,4}(\.[0-9]{1,3})?)$"
BYTES = r"^[1-9][0-9]{0,17}(Ki|Mi|Gi|Ti|k|M|G|T)?$"
RESOURCE = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
DURATION = r"^[1-9][0-9]{0,6}[smhd]$"
STEP_ARTIFACT = r"^[A-Za-z0-9][A-Za-z0-9_-]*\..+$"
LABEL_KEY = (
    r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){0,7}/)?"
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
)
LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"
CLASS_NAME = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
COMMIT = r"^([0-9a-f]{40}|[0-9a-f]{64})$"

READABLE = {
    NAME: "A name has 1 to 63 letters, digits, '.', '_' or '-', "
    "and begins and ends with a letter or digit.",
    DIGEST: "A digest is written as 'sha256:' and 64 lower-case hexadecimal digits.",
    IMAGE: "An image is pinned by digest: 'registry/name@sha256:' and 64 hexadecimal digits. "
    "A tag can be moved, so it is refused.",
    REPOSITORY: "An image's repository is written without tag and digest, such as 'registry/name'.",
    PATH: "A path is relative, of letters, digits, '.', '_' and '-', and no part begins with '.'.",
    ENV_NAME: "A variable's name has letters, digits and '_', and does not begin with a digit.",
    HOST: "A host is a lower-case DNS name or an IPv4 address, such as 'pypi.example.org'.",
    MEDIA_TYPE: "A media type is written as 'type/subtype', such as 'application/json'.",
    CPU: "cpu is a number of cores such as '1', '0.5' or '500m'.",
    BYTES: "A size is a whole number with a unit, such as '512Mi' or '2Gi'.",
    RESOURCE: "A device is written as Kubernetes names it, such as 'nvidia.com/gpu'.",
    DURATION: "A duration is a number of seconds, or a number with s, m, h or d, such as '10m'.",
    STEP_ARTIFACT: "An artifact of another step is written as 'step.artifact'.",
    LABEL_KEY: "A label's key is a name of at most 63 letters, digits, '.', '_' or '-', with or "
    "without a domain before it, such as 'example.com/pool'.",
    LABEL_VALUE: "A label's value has at most 63 letters, digits, '.', '_' or '-', "
    "and begins and ends with a letter or digit.",
    CLASS_NAME: "A class of a cluster is named in lower-case letters, digits, '.' and '-', "
    "at most 63.",
    COMMIT: "A commit is its full id: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits. "
    "Branches and tags move, so they are refused.",
}
