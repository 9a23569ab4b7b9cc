"""Bodies, addresses and queries as an attacker, a broken client or a mistyped script sends them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JSON_TYPE = "application/json"
DEEP = 60

Pointer = tuple[str | int, ...]


def _deep(levels: int, inner: Any = None) -> Any:
    for _ in range(levels):
        inner = [inner]
    return inner


TEXTS: tuple[str, ...] = (
    "", " ", "\t\n", "a" * 64, "a" * 257, "a" * 2_001, "a" * 100_000,
    "\x1b[31mred\x1b[0m", "\x7f\x08", "\u202etxt.exe", "\u200b", "\ufeff", "\ufb01",
    "\uff41dmin", "\u0430dmin", "\u1e9e", "🙂" * 300, "e\u0301" * 50,
    "../../etc/passwd", "..\\..\\x", "/etc/passwd", "file:///etc/passwd", "a/../../b", "a//b",
    "%2e%2e%2f", "'; DROP TABLE runs; --", "' OR '1'='1", "1); SELECT pg_sleep(1); --", "%s%s%n",
    "%(x)s", "{0.__class__}", "$(id)", "`id`", "| id", "; id", "${jndi:ldap://x/a}", "{{7*7}}",
    "<script>alert(1)</script>", "!!python/object/apply:os.system ['id']", "&a [*a, *a]",
    "size(plan.steps) > 0", "plan.steps.all(s, true)", "[1].map(a, [1].map(b, [1].map(c, a)))",
    "true", "null", "NaN", "-1", "1e999", "0x10", "0" * 400,
    "sha256:" + "z" * 64, "sha256:" + "A" * 64, "sha256:" + "a" * 63, "md5:" + "a" * 32,
    "a@sha256:" + "a" * 64, "00000000-0000-0000-0000-000000000000", "not-a-uuid",
    "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}", "9999-12-31T23:59:59Z", "-5m", "1000000d", "1Pi",
    "99999999999999999999Gi", "CON", ".git", "__proto__",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 - 1, -(2**53) + 1, 0.1, -0.0, 1e308, 5e-324, 1e21,
    [], {}, [None], [[]], {"": ""}, {"a": None}, {"__proto__": {"admin": True}}, {"$ref": "#"},
    [0] * 6_000, {f"k{n}": n for n in range(1_500)}, _deep(DEEP), _deep(DEEP, {"a": 1}), *TEXTS,
)  # fmt: skip
HOMOGLYPHS = str.maketrans("aceiopsxy", "\u0430\u0441\u0435\u0456\u043e\u0440\u0455\u0445\u0443")
CONTENT_TYPES = (
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/json; charset=utf-16", "application/problem+json", "application/xml", "x", "",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileBody:
    content: bytes
    content_type: str = JSON_TYPE
    why: str = field(repr=True)


def bodies_against(
    right: Mapping[str, Any], properties: Sequence[str], *, count: int, seed: str
) -> list[HostileBody]:
    """`count` bodies: all of those below that are about form, and a sample of wrong values.

    `right` is a body that is accepted; `properties` are all that the document knows.
    """
    formed = [*_misspelled(right, properties), *_undecodable(right), *_mislabelled(right)]
    rest = [*_misvalued(right, properties)]
    chosen = random.Random(seed).sample(rest, min(len(rest), max(0, count - len(formed))))
    return [*formed, *chosen]


def _misvalued(right: Mapping[str, Any], properties: Sequence[str]) -> Iterator[HostileBody]:
    places = [*_places(right), *((name,) for name in properties if name not in right)]
    for place in places:
        for value in VALUES:
            changed = _with(right, place, value)
            yield HostileBody(content=json.dumps(changed).encode(), why=f"{place}: {value!r:.40}")
    for value in VALUES:
        yield HostileBody(content=json.dumps(value).encode(), why=f"all: {value!r:.40}")


def _misspelled(right: Mapping[str, Any], properties: Sequence[str]) -> Iterator[HostileBody]:
    for place in _places(right):
        key = place[-1]
        yield HostileBody(content=json.dumps(_without(right, place)).encode(), why=f"no {place}")
        if isinstance(key, str):
            for other in (key.translate(HOMOGLYPHS), key.upper(), key + " ", key[:-1], key * 50):
                if other != key:
                    renamed = _with(_without(right, place), (*place[:-1], other), 1)
                    content = json.dumps(renamed, ensure_ascii=False).encode()
                    yield HostileBody(content=content, why=f"{place} as {other:.20}")
    for name in properties:
        twice = json.dumps(right).encode()[:-1] + b', "%b": 1, "%b": 2}' % (2 * (name.encode(),))
        yield HostileBody(content=twice, why=f"{name} twice")


def _undecodable(right: Mapping[str, Any]) -> Iterator[HostileBody]:
    text = json.dumps(right).encode()
    head = text[:-1]
    raw = (
        b"", b" ", b"\x00", b"{", head, text[: len(text) // 2], text + b"}", text + text,
        b"\xff" + text, b"\xef\xbb\xbf" + text, text.decode().encode("utf-16"),
        text.replace(b'"', b"'"), b"[" * 5_000, b'{"a":' * 5_000, head + b', "x": NaN}',
        head + b', "x": Infinity}', head + b', "x": 1e400}',
        head + b', "x": ' + b"9" * 5_000 + b"}", head + b', "x": "\\ud800"}',
        head + b', "x": "\\u0000"}', head + b', "\\udfff": 1}', head + b', "x": "\xc3\x28"}',
        head + b', "x": 01}', head + b",}", b"// x\n" + text, head + b', "x": "\x01\x02"}',
        b"--- !!map\n" + text, b"a=b&c=d",
    )  # fmt: skip
    for content in raw:
        yield HostileBody(content=content, why=f"raw {content[:20]!r}")


def _mislabelled(right: Mapping[str, Any]) -> Iterator[HostileBody]:
    for kind in CONTENT_TYPES:
        yield HostileBody(content=json.dumps(right).encode(), content_type=kind, why=kind)


def _places(value: Any, here: Pointer = ()) -> Iterator[Pointer]:
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*here, key)
        yield from _places(inner, (*here, key))


def _with(body: Mapping[str, Any], place: Pointer, value: Any) -> Any:
    changed = copy.deepcopy(dict(body))
    _parent(changed, place)[place[-1]] = value
    return changed


def _without(body: Mapping[str, Any], place: Pointer) -> Any:
    changed = copy.deepcopy(dict(body))
    del _parent(changed, place)[place[-1]]
    return changed


def _parent(body: Any, place: Pointer) -> Any:
    for key in place[:-1]:
        body = body[key]
    return body
