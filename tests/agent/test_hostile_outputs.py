"""What a hostile step leaves behind: never followed, never able to hurt, and gone at the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent.agents import Bench, read_result
from tests.agent.conftest import Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.conftest import RecordCases

SECRET = "this is the host's"
DEEP = """
for _ in range(3000):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A script that leaves an output named `x`."""

    name: str
    script: str
    failure: str | None


CASES = [
    Case(name="a link to a file of the host", script="os.symlink(HOST, 'x')", failure="user"),
    Case(name="a link to the machine", script="os.symlink('/', 'x')", failure="user"),
    Case(name="a link upwards", script="os.symlink('../fetch.json', 'x')", failure="user"),
    Case(name="a link to itself", script="os.symlink('x', 'x')", failure="user"),
    Case(
        name="a link in a directory",
        script="os.mkdir('x'); os.symlink(HOST, 'x/a')", failure="user",
    ),
    Case(
        name="a directory that is a link",
        script="os.mkdir('x'); os.symlink('/etc', 'x/a')", failure="user",
    ),
    Case(name="a pipe", script="os.mkfifo('x')", failure="user"),
    Case(
        name="a socket",
        script="import socket; socket.socket(socket.AF_UNIX).bind('x')", failure="user",
    ),
    Case(
        name="nothing may be read",
        script="os.mkdir('x'); open('x/a', 'w').write('a'); os.chmod('x', 0)",
        failure="user",
    ),
    Case(
        name="a name of two lines",
        script="os.mkdir('x'); open('x/a\\nb', 'w').write('a')", failure="user",
    ),
    Case(
        name="a name that is no UTF-8",
        script="os.mkdir('x'); open(b'x/\\xff', 'w').write('a')", failure="user",
    ),
    Case(name="too deep a tree", script=f"os.mkdir('x'); os.chdir('x'){DEEP}", failure="user"),
    Case(
        name="collect's own report",
        script="open('../collect.json', 'w').write('{\"ok\": true}')", failure="user",
    ),
    Case(
        name="a working directory that is a trap",
        script=f"open('x', 'w').write('fine'); os.chdir('/animus/work'){DEEP}", failure=None,
    ),
    Case(
        name="directories without rights left everywhere",
        script="open('x', 'w').write('fine')\n"
        "os.chdir('/animus/work')\n"
        "for n in range(50): os.makedirs(f'{n}/a/b'); os.chmod(f'{n}', 0)",
        failure=None,
    ),
    Case(
        name="a file of a mebibyte with holes",
        script="open('x', 'w').truncate(1024**2)", failure=None,
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def host_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Readable by everyone, by its path: only confinement keeps it from the step."""
    file = tmp_path_factory.mktemp("host") / "secret"
    file.write_text(SECRET)
    return file


async def test_no_output_leads_out_of_its_directory(
    platform: Platform, bench: Bench, images: Images, host_file: Path, record_cases: RecordCases
) -> None:
    ended = await asyncio.gather(*(leave(c, platform, bench, images, host_file) for c in CASES))
    assert dict(zip([c.name for c in CASES], ended, strict=True)) == {
        case.name: case.failure for case in CASES
    }
    record_cases("hostile outputs", len(CASES))


async def leave(
    case: Case, platform: Platform, bench: Bench, images: Images, host_file: Path
) -> str | None:
    script = f"import os\nHOST = {str(host_file)!r}\nos.chdir('/animus/out')\n{case.script}"
    order = await platform.open_attempt(python_step(images.demo, script, outputs=["x"]))
    signed = await bench.execute(order)
    result = read_result(signed.document)
    await platform.close_attempt(order, signed.document, signed.signature)
    for output in result.outputs:
        assert SECRET.encode() not in await platform.read_object(output.sha256)
    check_nothing_is_left(bench, order)
    return str(result.failure.failure_class) if result.failure else None


def check_nothing_is_left(bench: Bench, order: Order) -> None:
    assert [entry.name for entry in bench.directory(order).iterdir()] == ["journal"]
