"""Templates of notifications: what they may name, and that no text of others steers them."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib.resources import files

import pytest

import animusd
from animus.domain.errors import Invalid
from animus.domain.notification_templates import (
    fields_of,
    file_name,
    read_template,
    wanted_templates,
)
from animus.domain.notifications import (
    NOTICES,
    Channel,
    Kind,
    Outcome,
    TryOutcome,
    check_address,
    pause_after,
)

TOLD_TO_MANY = {"reason", "ticket", "review", "link", "link_until", "person", "decisions"}


@pytest.mark.parametrize(("kind", "channel"), wanted_templates())
def test_our_own_templates_fit_and_use_their_fields(kind: Kind, channel: Channel) -> None:
    source = files(animusd).joinpath("templates", file_name(kind, channel)).read_text()
    template = read_template(kind, channel, source)
    letter = template.fill({name: f"<{name}>" for name in fields_of(kind, channel)})
    assert "\n" not in letter.subject
    assert "$" not in letter.subject + letter.text
    if channel is Channel.MAIL and NOTICES[kind].brings_review:
        assert "<review>" in letter.text
        assert "<link>" in letter.text


def test_every_template_is_wanted() -> None:
    there = {one.name for one in files(animusd).joinpath("templates").iterdir()}
    assert there == {file_name(*wanted) for wanted in wanted_templates()}


@pytest.mark.parametrize("kind", [kind for kind, notice in NOTICES.items() if notice.is_for_chat])
@pytest.mark.parametrize("name", sorted(TOLD_TO_MANY))
def test_a_channel_is_never_told_what_is_for_one_person(kind: Kind, name: str) -> None:
    with pytest.raises(Invalid, match=name):
        read_template(kind, Channel.CHAT, f"Subject: x\n\nSee ${{{name}}}\n")


@pytest.mark.parametrize(
    "source",
    ["", "Hello", "Subject: x\nno empty line", "Subject: x\n\n", "Subject: $nothing\n\nx",
     "Subject: x\n\ncosts 5$ today", "Subject: x\n\n${link.__class__}"],
)  # fmt: skip
def test_a_template_that_does_not_fit_is_refused_by_its_name(source: str) -> None:
    with pytest.raises(Invalid, match=re.escape("gate_opened.mail.txt")):
        read_template(Kind.GATE_OPENED, Channel.MAIL, source)


def test_what_is_filled_in_is_not_read_again() -> None:
    template = read_template(Kind.RUN_ENDED, Channel.MAIL, "Subject: $run\n\n$reason $$5\n")
    fields = dict.fromkeys(fields_of(Kind.RUN_ENDED, Channel.MAIL), "")
    letter = template.fill(fields | {"run": "$reason", "reason": "${link} $person"})
    assert (letter.subject, letter.text) == ("$reason", "${link} $person $5\n")


@pytest.mark.parametrize("address", ["a@b", "maria.k+x@mail.example.org", "o'neil@example.org"])
def test_a_mail_address_is_taken(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address",
    ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b c", "a@b\r\nBcc: c@d", "a@b\n", '"a"@b', "a@[::1]",
     "<a@b>", "a@b>,<c@d", ".a@b", "a.@b", "a..b@c", "a@-b", "a@b..c", "ä@b", "a@ä", "a@b\x00",
     f"{'a' * 65}@b", f"a@{'b.' * 130}c"],
)  # fmt: skip
def test_what_is_no_mail_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        check_address(address)


def test_pauses_grow_to_a_quarter_of_an_hour() -> None:
    pauses = [pause_after(tries) for tries in range(1, 60)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(seconds=15), timedelta(minutes=15))


def test_only_a_failed_try_leaves_it_open() -> None:
    assert set(TryOutcome) - {str(one) for one in Outcome} == {
        TryOutcome.FAILED, TryOutcome.ABANDONED,
    }  # fmt: skip
