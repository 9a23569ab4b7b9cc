"""The one list of what each table allows. Grants, triggers and tests are generated from it.

Nothing here is a matter of discipline: a table's kind decides what the database refuses, to the
application's roles by grant and to everyone, the owner included, by trigger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

OWNER = "animus_owner"
API = "animus_api"
WORKER = "animus_worker"
READER = "animus_reader"
APPLICATION_ROLES = (API, WORKER, READER)


class Kind(StrEnum):
    IMMUTABLE = "immutable"
    """Rows are written once. No update, no delete, no truncate."""
    TRANSITION = "transition"
    """As immutable, except for the columns named."""
    REVOCABLE = "revocable"
    """As immutable, but a row may go out of force: the columns named are set once, and stay."""
    ERASABLE = "erasable"
    """As immutable, except through one function that writes an audit event."""
    TELEMETRY = "telemetry"
    """As immutable, but old partitions may be dropped."""
    DISPOSABLE = "disposable"
    """Carries work on: rows go when it is done. Of each, only the columns named may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    table: str
    kind: Kind
    writers: tuple[str, ...]
    """Roles that may insert."""
    movers: tuple[str, ...] | None = None
    """Roles that may change the columns named; None means the writers."""
    removers: tuple[str, ...] = ()
    """Roles that may delete, where the kind allows it."""
    columns: tuple[str, ...] = ()
    """The columns that may change; of revocable rows, the moment first."""
    hidden_from: tuple[str, ...] = ()
    """Roles that may not even read."""


_BOTH = (API, WORKER)


def _immutable(*tables: str, writers: tuple[str, ...]) -> Iterator[Protection]:
    for table in tables:
        yield Protection(table=table, kind=Kind.IMMUTABLE, writers=writers)


PROTECTIONS: tuple[Protection, ...] = (
    *_immutable(
        "projects", "changes", "change_decisions", "datasets", "dataset_versions", "sources",
        "environments", "environment_locks", "pipelines", "policies", "policy_versions",
        "policy_publications", "run_datasets", "run_triggers", "decisions", "decision_withdrawals",
        "cancel_requests", "attempt_claims", "project_quotas", "cluster_capacities",
        "project_clusters", "gate_questions", "gate_answers",
        writers=(API,),
    ),
    *_immutable(
        "order_keys", "execution_plans", "verdicts", "approval_gates", "gate_reviews",
        "revalidations", "incidents", "workflow_executions", "attempts", "work_orders",
        "attempt_outcomes", "stop_receipts", "audit_index", "queue_entries", "admissions",
        "queue_departures",
        writers=(WORKER,),
    ),
    *_immutable(
        "blobs", "manifests", "gate_closures", "artifacts", "lineage_edges", "audit_events",
        writers=_BOTH,
    ),
    Protection(
        table="principals", kind=Kind.REVOCABLE, writers=(API,), columns=("disabled_at",)
    ),
    Protection(
        table="api_tokens", kind=Kind.REVOCABLE, writers=(API,),
        columns=("revoked_at", "revoked_by"), hidden_from=(READER, WORKER),
    ),
    Protection(
        table="role_bindings", kind=Kind.REVOCABLE, writers=(API,),
        columns=("revoked_at", "revoked_by"),
    ),
    Protection(
        table="delegations", kind=Kind.REVOCABLE, writers=(API,),
        columns=("revoked_at", "revoked_by"),
    ),
    Protection(table="clusters", kind=Kind.REVOCABLE, writers=(API,), columns=("retired_at",)),
    Protection(
        table="agent_absences", kind=Kind.REVOCABLE, writers=(WORKER,), columns=("returned_at",)
    ),
    Protection(
        table="agent_heartbeats", kind=Kind.TRANSITION, writers=(API,),
        columns=("seen_at", "version"),
    ),
    Protection(
        table="attempt_tokens", kind=Kind.REVOCABLE, writers=(API,), movers=(WORKER,),
        columns=("revoked_at",), hidden_from=(READER,),
    ),
    Protection(
        table="runs", kind=Kind.TRANSITION, writers=(API,), movers=(WORKER,),
        columns=(
            "state", "state_since", "waiting_for", "deadline", "generation", "plan_digest",
            "failure_class", "failure_code", "ended_at",
        ),
    ),
    Protection(
        table="notifications", kind=Kind.TRANSITION, writers=(WORKER,),
        columns=("next_try_at", "settled_at", "outcome", "code"),
    ),
    Protection(
        table="notification_tries", kind=Kind.TRANSITION, writers=(WORKER,),
        columns=("handed_at", "ended_at", "outcome", "code"),
    ),
    Protection(
        table="review_links", kind=Kind.REVOCABLE, writers=(WORKER,), movers=(API,),
        columns=("used_at",), hidden_from=(READER,),
    ),
    Protection(
        table="audit_payloads", kind=Kind.ERASABLE, writers=_BOTH, hidden_from=(READER,)
    ),
    Protection(table="run_metrics", kind=Kind.TELEMETRY, writers=(API,)),
    Protection(table="run_messages", kind=Kind.TELEMETRY, writers=(API,)),
    Protection(
        table="telemetry_totals", kind=Kind.TRANSITION, writers=(API,),
        columns=("metric_points", "messages"),
    ),
    Protection(table="audit_pending", kind=Kind.DISPOSABLE, writers=_BOTH, removers=(WORKER,)),
    Protection(
        # The relay changes nothing; whoever locks rows needs the right to change a column.
        table="outbox", kind=Kind.DISPOSABLE, writers=_BOTH, movers=(WORKER,),
        removers=(WORKER,), columns=("created_at",),
    ),
    Protection(
        table="idempotency_records", kind=Kind.DISPOSABLE, writers=(API,), removers=(WORKER,),
        columns=("entity_id",),
    ),
    Protection(
        table="mail_addresses", kind=Kind.DISPOSABLE, writers=(API,), removers=(API,),
        columns=("address", "set_by", "set_at"), hidden_from=(READER,),
    ),
    Protection(
        table="uploads", kind=Kind.DISPOSABLE, writers=(API,), removers=(WORKER,),
        columns=("committed_at", "entity_id"),
    ),
)  # fmt: skip

TELEMETRY_TABLES = tuple(p.table for p in PROTECTIONS if p.kind is Kind.TELEMETRY)


def statements(protection: Protection) -> Iterator[str]:
    """Idempotent SQL that makes one table what the list says, its partitions by function."""
    table = protection.table
    yield f"REVOKE ALL ON {table} FROM PUBLIC, {', '.join(APPLICATION_ROLES)}"
    for role in APPLICATION_ROLES:
        granted = ", ".join(_privileges(protection, role))
        if granted:
            yield f"GRANT {granted} ON {table} TO {role}"
    if protection.kind is not Kind.DISPOSABLE:
        yield from trigger_statements(table, protection)


def trigger_statements(table: str, protection: Protection) -> Iterator[str]:
    """Triggers that fire for everyone: ALWAYS, else `session_replication_role` skips them."""
    columns = ", ".join(f"'{column}'" for column in protection.columns)
    bodies = {
        "refuse_truncate": "BEFORE TRUNCATE ON {t} FOR EACH STATEMENT EXECUTE FUNCTION "
        "animus_refuse_change()",
        "refuse_change": "BEFORE UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION "
        f"{_row_function(protection.kind)}({columns})",
    }
    for name, body in bodies.items():
        yield f"DROP TRIGGER IF EXISTS {name} ON {table}"
        yield f"CREATE TRIGGER {name} {body.format(t=table)}"
        yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"


def _row_function(kind: Kind) -> str:
    match kind:
        case Kind.TRANSITION:
            return "animus_only_columns_change"
        case Kind.REVOCABLE:
            return "animus_only_revoke"
        case Kind.ERASABLE:
            return "animus_refuse_unless_erasing"
        case _:
            return "animus_refuse_change"


def _privileges(protection: Protection, role: str) -> Iterator[str]:
    if role not in protection.hidden_from:
        yield "SELECT"
    if role in protection.writers:
        yield "INSERT"
    if protection.columns and role in (protection.movers or protection.writers):
        yield f"UPDATE ({', '.join(protection.columns)})"
    if role in protection.removers:
        yield "DELETE"
