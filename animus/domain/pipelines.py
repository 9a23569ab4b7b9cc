"""PipelineSpec `animus/v1` in its explicit form: what it may say. Expansion is next door."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from animus.domain import patterns
from animus.domain.documents import Bool, Document, Int, Name, SparseDocument, Text, items
from animus.domain.resources import Amounts, parse_bytes, parse_cpu
from animus.domain.retries import RetryPolicy

API_VERSION = "animus/v1"
API_VERSION_ALPHA = "animus/v1alpha1"

MAX_STEPS = 200  # one workflow history; more wait for child workflows
MAX_DEPENDENCIES = 2_000
MAX_PORTS = 64  # inputs, outputs, egress rules or secrets of one step
MAX_ENVIRONMENT = 256
MAX_WORDS = 1_024  # of a command line
MAX_TIMEOUT_SECONDS = 7 * 86_400
RESERVED_ENV_PREFIX = "ANIMUS_"


ImageRef = Annotated[str, StringConstraints(pattern=patterns.IMAGE)]
Host = Annotated[str, StringConstraints(pattern=patterns.HOST, max_length=253)]
MediaType = Annotated[str, StringConstraints(pattern=patterns.MEDIA_TYPE)]
Word = Annotated[str, StringConstraints(max_length=32_768)]
EnvName = Annotated[str, StringConstraints(pattern=patterns.ENV_NAME, max_length=256)]
GpuResource = Annotated[str, StringConstraints(pattern=patterns.RESOURCE, max_length=317)]
OutputPath = Annotated[str, StringConstraints(pattern=patterns.PATH, max_length=512)]


class Metadata(SparseDocument):
    name: Name
    description: Text | None = None
    labels: Annotated[dict[Name, Annotated[str, StringConstraints(max_length=256)]], items(64)] = {}


class DatasetInput(Document):
    name: Name
    datasetRef: Name
    """An alias, bound to a dataset version by the run; never a version."""


class ArtifactInput(Document):
    name: Name
    fromStep: Name
    artifact: Name


class Inputs(Document):
    datasets: Annotated[tuple[DatasetInput, ...], items(MAX_PORTS)]
    artifacts: Annotated[tuple[ArtifactInput, ...], items(MAX_PORTS)]


class ArtifactOutput(SparseDocument):
    name: Name
    type: Name
    path: OutputPath
    """Below /animus/out; a file, or a directory that becomes a manifest."""
    mediaType: MediaType | None = None
    description: Text | None = None
    optional: Bool = False


class Outputs(Document):
    artifacts: Annotated[tuple[ArtifactOutput, ...], items(MAX_PORTS)]


class EnvVar(Document):
    name: EnvName
    value: Word


class Resources(SparseDocument):
    cpu: Annotated[str, StringConstraints(pattern=patterns.CPU)]
    memory: Annotated[str, StringConstraints(pattern=patterns.BYTES)]
    gpu: Annotated[Int, Field(ge=0, le=64)]
    gpuResource: GpuResource | None = None
    """What the cluster calls the devices; absent for what its agent is set to."""
    ephemeralStorage: Annotated[str, StringConstraints(pattern=patterns.BYTES)]
    """Bound of everything a step writes: outputs and scratch."""

    def amounts(self) -> Amounts:
        return Amounts(
            millicores=parse_cpu(self.cpu),
            memory=parse_bytes(self.memory),
            storage=parse_bytes(self.ephemeralStorage),
            gpus=self.gpu,
        )


class EgressRule(Document):
    host: Host
    port: Annotated[Int, Field(ge=1, le=65_535)]


class SecretReference(Document):
    name: Name
    secretRef: Annotated[str, StringConstraints(pattern=patterns.PATH, max_length=512)]
    """Where the agent finds it; never the value."""


class Step(Document):
    name: Name
    image: ImageRef
    command: Annotated[tuple[Word, ...], items(MAX_WORDS)]
    args: Annotated[tuple[Word, ...], items(MAX_WORDS)]
    inputs: Inputs
    outputs: Outputs
    env: Annotated[tuple[EnvVar, ...], items(MAX_ENVIRONMENT)]
    resources: Resources
    retryPolicy: RetryPolicy
    timeoutSeconds: Annotated[Int, Field(ge=1, le=MAX_TIMEOUT_SECONDS)]
    egress: Annotated[tuple[EgressRule, ...], items(MAX_PORTS)]
    secrets: Annotated[tuple[SecretReference, ...], items(MAX_PORTS)]
    telemetry: Bool

    @property
    def image_digest(self) -> str:
        return self.image.rpartition("@")[2]


class Dependency(Document):
    from_: Annotated[Name, Field(alias="from")]
    to: Name


class Graph(Document):
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]
    dependencies: Annotated[tuple[Dependency, ...], items(MAX_DEPENDENCIES)]


class PipelineSpec(Document):
    """The explicit form: the only one that is stored, hashed, planned and shown."""

    apiVersion: Literal["animus/v1"]
    kind: Literal["Pipeline"]
    specVersion: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    metadata: Metadata
    spec: Graph

    def dataset_aliases(self) -> frozenset[str]:
        return frozenset(i.datasetRef for step in self.spec.steps for i in step.inputs.datasets)

    def dependencies_of(self) -> dict[str, frozenset[str]]:
        """For each step the steps that must have succeeded before it may start."""
        needed: dict[str, set[str]] = {step.name: set() for step in self.spec.steps}
        for edge in self.spec.dependencies:
            needed[edge.to].add(edge.from_)
        return {name: frozenset(before) for name, before in needed.items()}
