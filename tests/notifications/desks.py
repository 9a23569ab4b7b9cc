"""A stack with a real worker that tells people, a mail server beside it, and who is told."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import httpx
import psycopg

from animus.adapters.signing import FileSigner, make_key
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.lives import State
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from tests.notifications.mail_servers import MailServer
from tests.support.callers import Caller
from tests.support.documents import demand, explicit_pipeline, explicit_step, policy, rule
from tests.support.waiting import eventually

CLUSTER = "machine"
SENDER = "animus@mail.test"
REMIND_AT, ESCALATE_AT = 0.25, 0.35
"""Of a gate's life: seconds, where it lives for a minute."""
REASON = "the quarterly model <b>now</b>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    name: str
    id: str
    caller: Caller

    @property
    def address(self) -> str:
        return f"{self.name}@people.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One project with people who are told; `installation` is shared."""

    installation: Installation
    path: str
    name: str
    people: Mapping[str, Person]

    @property
    def mail(self) -> MailServer:
        return self.installation.mail

    def address(self, role: str) -> str:
        return self.people[role].address

    async def submit(self, **changes: Any) -> str:
        body = {
            "pipeline": explicit_pipeline(explicit_step("train")),
            "cluster": CLUSTER,
            "reason": REASON,
        }
        made = await self.people["engineer"].caller.post(f"{self.path}/runs", body | changes)
        return str(made["id"])

    async def gate(self, run: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            found = await self.people["engineer"].caller.get(f"{self.path}/runs/{run}/gates")
            return next(iter(found), None)

        return await eventually(look, "the gate is open")

    async def decide(self, gate: Mapping[str, Any], verdict: str, *, by: str = "reviewer") -> None:
        await self.people[by].caller.post(
            f"{self.path}/gates/{gate['id']}/decisions",
            {
                "verdict": verdict, "plan_digest": gate["plan_digest"],
                "review_digest": gate["review_digest"], "reason": "I looked at it",
            },
        )  # fmt: skip

    async def cancel(self, run: str) -> None:
        await self.people["engineer"].caller.post(
            f"{self.path}/runs/{run}:cancel", {"reason": "enough"}
        )

    async def settled(self, run: str, kind: str, role: str) -> tuple[str, str | None]:
        """(outcome, code) of what one person was to be told."""

        async def look() -> tuple[str, str | None] | None:
            rows = await self.installation.query(
                "SELECT outcome, code FROM notifications WHERE run_id = %s AND kind = %s"
                " AND person_id = %s AND settled_at IS NOT NULL",
                run, kind, self.people[role].id,
            )  # fmt: skip
            return (rows[0][0], rows[0][1]) if rows else None

        return await eventually(look, f"{role} is told of {kind}, or never will be")

    async def tries(self, run: str, kind: str, role: str) -> list[str | None]:
        rows = await self.installation.query(
            "SELECT t.outcome FROM notification_tries t JOIN notifications n"
            " ON n.id = t.notification_id WHERE n.run_id = %s AND n.kind = %s AND n.person_id = %s"
            " ORDER BY t.number",
            run, kind, self.people[role].id,
        )  # fmt: skip
        return [outcome for (outcome,) in rows]

    async def failed(self, run: str, kind: str, role: str, code: str) -> None:
        """Until an attempt has failed for this reason; the next one is not waited for."""

        async def look() -> bool:
            rows = await self.installation.query(
                "SELECT 1 FROM notifications WHERE run_id = %s AND kind = %s AND person_id = %s"
                " AND code = %s AND settled_at IS NULL",
                run, kind, self.people[role].id, code,
            )  # fmt: skip
            return bool(rows)

        await eventually(look, f"an attempt fails with {code}")

    async def hurry(self, run: str) -> None:
        """What pauses before its next attempt is tried now."""
        await self.installation.query(
            "UPDATE notifications SET next_try_at = clock_timestamp()"
            " WHERE run_id = %s AND settled_at IS NULL RETURNING 1",
            run,
        )
        await self.installation.query(
            "WITH told AS (INSERT INTO outbox (project_id, run_id, kind)"
            " SELECT project_id, id, 'notify' FROM runs WHERE id = %s RETURNING 1)"
            " SELECT pg_notify('animus_outbox', '') FROM told",
            run,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    stack: Stack
    http: httpx.AsyncClient
    admin: Caller
    mail: MailServer
    chat_folder: Path
    database_url: str

    async def query(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall()

    async def restart(self, service: str = "worker") -> None:
        self.stack.begin([service])

        async def is_ready() -> bool:
            self.stack.tick()
            status = {one.name: one for one in self.stack.status()}[service]
            assert status.state is not State.FAILED, status.reason
            return status.state is State.READY

        await eventually(is_ready, f"{service} is ready")

    async def person(self, name: str, *, with_mail: bool = True) -> Person:
        made = await self.admin.post("/principals", {"name": name})
        issued = await self.admin.post(f"/principals/{made['id']}/tokens", {"name": "test"})
        caller = Caller(http=self.http, token=issued["secret"])
        person = Person(name=name, id=made["id"], caller=caller)
        if with_mail:
            await self.admin.post(
                f"/principals/{person.id}/address:set", {"address": person.address}
            )
        return person

    async def desk(self, *, deadline: str = "1h", quorum: int = 1, chat: str = "") -> Desk:
        """A project of new people, in which every run needs an approval."""
        mark = uuid4().hex[:8]
        roles = {
            "engineer": "editor", "reviewer": "reviewer", "second": "reviewer", "owner": "admin",
        }  # fmt: skip
        people = {role: await self.person(f"{role}-{mark}") for role in roles}
        members = {people[role].name: [held] for role, held in roles.items()}
        if chat:
            (self.chat_folder / f"p-{mark}").write_text(chat)
        made = await self.admin.post(
            "/projects", {"name": f"p-{mark}", "allows_production": False, "members": members}
        )
        path = f"/projects/{made['id']}"
        await self.admin.post(f"{path}/policies", {"name": "gated"})
        demanded = demand(deadline=deadline, quorum=quorum)
        document = policy(rule("reviewed", "require_approval", approval=demanded))
        version = await self.admin.post(f"{path}/policies/gated/versions", {"document": document})
        await self.admin.post(f"{path}/policies/gated/versions/{version['version']}:publish")
        return Desk(installation=self, path=path, name=f"p-{mark}", people=people)


@asynccontextmanager
async def running_installation() -> AsyncIterator[Installation]:
    build_servers(console=Console())
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="animus-mail-")))
        chat_folder = folder / "chat"
        (folder / "smtp").mkdir()
        chat_folder.mkdir()
        mail = MailServer(folder=folder / "smtp")
        exits.callback(mail.kill)
        ports = free_ports()
        told = {
            "public_url": f"http://127.0.0.1:{ports.api}",
            "smtp": {"host": "127.0.0.1", "port": mail.port, "sender": SENDER, "tls": "none"},
            "chat": {"folder": str(chat_folder)},
            "remind_at": REMIND_AT,
            "escalate_at": ESCALATE_AT,
        }
        config = StackConfig(
            state=folder / "stack", ports=ports, cluster=CLUSTER,
            overrides={"worker": {"notifications": told}},  # type: ignore[dict-item]  # floats too
        )  # fmt: skip
        stack = exits.enter_context(Stack(config))
        for reader in (folder, folder / "smtp", chat_folder):
            reader.chmod(0o755)
        stack.start(["api", "worker"])
        await mail.start()
        addresses = stack.site.addresses
        http = await exits.enter_async_context(
            httpx.AsyncClient(base_url=addresses.api, timeout=60, trust_env=False)
        )
        token = (stack.layout.handed_over / "bootstrap-token").read_text()
        made = await Caller(http=http, token=token).post("/bootstrap", {"name": "admin"})
        admin = Caller(http=http, token=made["secret"])
        make_key(folder / "agent.key")
        await admin.post(
            "/clusters",
            {
                "name": CLUSTER, "executor": "noop", "runtime": "none", "host": "test",
                "result_key": FileSigner(folder / "agent.key").public_key.hex(),
            },
        )  # fmt: skip
        yield Installation(
            stack=stack, http=http, admin=admin, mail=mail, chat_folder=chat_folder,
            database_url=addresses.superuser_url(stack.site.credentials),
        )  # fmt: skip
