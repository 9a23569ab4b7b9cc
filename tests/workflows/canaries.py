"""Words that tests put where private things stand, and the search for them in histories."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from typing import Any

import orjson
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

CANARY_PERSON = "Wilhelmina Canary"
CANARY_REASON = "a canary in the reason"
CANARY_PARAMETER = "a-canary-in-the-parameters"
CANARY_LABEL = "a-canary-on-the-label"
_PRIVATE = re.compile(r"canary|https?://|x-amz-|\banm[a-z]+_|bearer", re.IGNORECASE)


def private_words(history: WorkflowHistory) -> list[str]:
    """What of a workflow's history should not be there: searched in every text, also encoded."""
    return [
        f"event {event.event_id}: {text[:200]}"
        for event in history.events
        for text in _texts(event)
        if _PRIVATE.search(text)
    ]


def _texts(message: Message) -> Iterator[str]:
    if isinstance(message, Payload):
        yield from _payload_texts(message)
        return
    for _, value in message.ListFields():
        yield from _value_texts(value)


def _value_texts(value: Any) -> Iterator[str]:
    if isinstance(value, Message):
        yield from _texts(value)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif hasattr(value, "items"):
        for key, inner in value.items():
            yield from _value_texts(key)
            yield from _value_texts(inner)
    elif hasattr(value, "__iter__"):
        for inner in value:
            yield from _value_texts(inner)


def _payload_texts(payload: Payload) -> Iterator[str]:
    yield payload.data.decode(errors="replace")
    try:
        value = orjson.loads(payload.data)
    except orjson.JSONDecodeError:
        return
    yield from _decoded(value)


def _decoded(value: Any) -> Iterator[str]:
    """Orders and results are canonical bytes in base64 within the payload."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _decoded(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _decoded(inner)
    elif isinstance(value, str):
        try:
            yield b64decode(value, validate=True).decode(errors="replace")
        except Error:
            return
