"""From facts to the review document, section by section in the order of reading. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from animus.domain.bounded_texts import bounded
from animus.domain.code_refs import CodeState
from animus.domain.digests import format_digest
from animus.domain.limitations import EXPLANATIONS, Limitation
from animus.domain.plan_items import value_words
from animus.domain.plans import PlannedStep
from animus.domain.policy_evaluation import PolicyInForce
from animus.domain.previews import simulate
from animus.domain.review_facts import Account, BoundData, Metric, ReviewFacts, Trial
from animus.domain.review_words import count_words, moment_words, period_words, size_words
from animus.domain.reviews import (
    Item,
    Listing,
    Review,
    Section,
    listing,
    whole_listing,
)
from animus.domain.verdicts import BUILTIN, Finding, RuleName

_CODE_STATES = {
    CodeState.PROVED: "Its id was recomputed from the bytes that will run.",
    CodeState.CLAIMED: "A claim: part of the code, or all of it, is outside what was proved.",
    CodeState.UNCOMMITTED: "The bytes that will run differ from the commit.",
}


def write_review(facts: ReviewFacts, difference: Section) -> Review:
    """The same facts give the same document, and so the same digest. `difference` is that of the
    plan, and so the same for all gates of a generation."""
    asked = facts.asked
    return Review(
        project_id=str(asked.project_id),
        run_id=str(asked.run_id),
        gate_id=str(asked.gate_id),
        generation=asked.generation,
        plan_digest=format_digest(facts.plan.digest),
        sections=(
            _question(facts),
            _request(facts),
            _authority(facts),
            difference,
            _trials(facts),
            _unproved(facts),
            _consent(facts),
            _digests(facts),
        ),
    )


def _section(name: str, title: str, items: list[Item], *listings: Listing) -> Section:
    return Section(name=name, title=title, items=tuple(items), listings=listings)


def _question(facts: ReviewFacts) -> Section:
    asked, body = facts.asked, facts.plan.document.body
    rule = asked.rule
    question = (
        f"May the {body.classification} run {asked.run} of the pipeline {body.pipeline}, project"
        f" {asked.project}, be executed as planned?"
    )
    items = [
        Item(label="question", value=question),
        Item(label="decide by", value=moment_words(asked.deadline)),
        Item(label="needs", value=_needs(rule.quorum, rule.role), note=_REJECTION),
    ]
    if rule.service_accounts:
        named = ", ".join(rule.service_accounts)
        items.append(Item(label="also decide", value=f"the service accounts {named}"))
    if asked.generation > 1:
        items.append(Item(label="generation", value=str(asked.generation), note=_DRIFTED))
    return _section("question", "The question", items)


_REJECTION = "One rejection ends the run. Nobody decides on what they asked for themselves."
_DRIFTED = "The plan changed while it waited: what was decided on earlier generations is void."


def _needs(quorum: int, role: str) -> str:
    who = count_words(quorum, "person")
    return f"{count_words(quorum, 'approval')} by {who} with the role {role}"


def _request(facts: ReviewFacts) -> Section:
    asked = facts.asked
    items = [
        Item(label="asked by", value=_account(asked.requester)),
        Item(label="accountable", value=_account(asked.person)),
        Item(label="asked at", value=moment_words(asked.asked_at)),
        Item(label="reason", value=bounded(asked.reason) or "(none was given)"),
        Item(label="ticket", value=bounded(asked.ticket) or "(none was given)"),
    ]
    trigger = [
        Item(label=name, value=bounded(value)) for name, value in sorted(asked.trigger.items())
    ]
    started = listing("Started by (as the client says, not checked)", trigger)
    return _section("request", "Who asks, and why", items, *([started] if trigger else []))


def _account(account: Account) -> str:
    called = f" ({account.display_name})" if account.display_name != account.name else ""
    return f"{account.name}{called}, {account.kind}"


def _authority(facts: ReviewFacts) -> Section:
    rule, verdict = facts.asked.rule, facts.plan.document.verdict
    items = [
        Item(
            label="you", value=f"hold the role {rule.role} in project {facts.asked.project}",
            note="That you do is checked when you decide, and recorded.",
        ),
        *(_demand(name, facts) for name in rule.demanded_by),
    ]  # fmt: skip
    said = [
        Item(label=_rule_words(one.policy, one.rule, facts), value=one.reason, note=one.effect)
        for one in verdict.findings
    ]
    asked = [
        Item(label=f"{one.name} version {one.version}", value=one.digest,
             note=one.document.description)
        for one in facts.policies
    ]  # fmt: skip
    return _section(
        "authority", "Why you", items,
        whole_listing("What the rules said of this plan", said),
        whole_listing("Policies in force", asked),
    )  # fmt: skip


def _demand(name: RuleName, facts: ReviewFacts) -> Item:
    found = _finding(name, facts)
    return Item(
        label="demanded by",
        value=_rule_words(name.policy, name.rule, facts),
        note=found.reason if found is not None else None,
    )


def _finding(name: RuleName, facts: ReviewFacts) -> Finding | None:
    findings = facts.plan.document.verdict.findings
    wanted = (name.policy, name.rule)
    return next((one for one in findings if (one.policy, one.rule) == wanted), None)


def _rule_words(policy: str, rule: str, facts: ReviewFacts) -> str:
    if policy == BUILTIN:
        return f"built-in rule {rule}"
    asked = _policy(policy, facts)
    named = f"policy {asked.name} version {asked.version}" if asked is not None else policy
    return f"{named}, rule {rule}"


def _policy(digest: str, facts: ReviewFacts) -> PolicyInForce | None:
    return next((one for one in facts.policies if one.digest == digest), None)


def _trials(facts: ReviewFacts) -> Section:
    counts = facts.trials.by_state
    total = sum(counts.values())
    by_state = ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items()))
    items = [
        Item(label="runs", value=f"{total:,}" + (f": {by_state}" if counts else ""), note=_SAME)
    ]
    items.append(Item(label="other results", value=_NO_RESULTS))
    return _section(
        "trials", "Development runs of the same content", items,
        *(_trial(one) for one in facts.trials.newest),
    )  # fmt: skip


_SAME = (
    "The same pipeline, data, code, environment and parameters, run as development. Their metrics"
    " are what the steps said of themselves."
)
_NO_RESULTS = "There are none: approval comes before execution."


def _trial(trial: Trial) -> Listing:
    ended = f", ended {moment_words(trial.ended_at)}" if trial.ended_at is not None else ""
    more = ", the first by name" if trial.has_more_metrics else ""
    title = f"Last metrics of run {trial.run}: {trial.state}{ended}{more}"
    return listing(title, [_metric(one) for one in trial.metrics])


def _metric(metric: Metric) -> Item:
    of_step = f"step {metric.step}, " if metric.step else ""
    return Item(
        label=metric.name, value=repr(metric.value), note=f"{of_step}point {metric.step_number}"
    )


def _unproved(facts: ReviewFacts) -> Section:
    body, accepted = facts.plan.document.body, facts.plan.document.verdict.accepted
    items = [*_code_claims(facts)]
    items.append(Item(label="words of the requester", value=_WORDS))
    limits = [_limitation(one, is_accepted=one.code in accepted) for one in body.limitations]
    return _section(
        "unproved", "What is not proved", items, whole_listing("Recorded limitations", limits)
    )


_WORDS = "Reason, ticket and what started the run are what was said; nobody checked them."


def _code_claims(facts: ReviewFacts) -> Iterator[Item]:
    code = facts.plan.document.body.code
    if code is None:
        yield Item(label="code", value="No commit is named: nobody can tell which code runs.")
        return
    yield Item(label="commit", value=code.commit, note=_CODE_STATES[code.state])
    if code.repo_url is not None:
        yield Item(label="repository", value=code.repo_url, note="A claim: where the client says.")


def _limitation(one: Limitation, *, is_accepted: bool) -> Item:
    return Item(
        label=f"{one.code} {one.subject}".strip(),
        value=EXPLANATIONS[one.code],
        note="Production forbids this; a policy accepts it here." if is_accepted else None,
    )


def _consent(facts: ReviewFacts) -> Section:
    asked, body = facts.asked, facts.plan.document.body
    simulation = simulate(body)
    peak = simulation.peak
    items = [
        Item(label="permits", value=f"one execution of exactly this plan, as run {asked.run}",
             note="Before the first step the plan is made again. If it differs, your yes is void."),
        Item(label="where", value=f"{body.execution.executor}, runtime {body.execution.runtime}"),
        Item(label="at most", value=f"{count_words(simulation.worst_case_attempts, 'attempt')},"
             f" {period_words(simulation.worst_case_seconds)}"),
        Item(label="at once", value=f"{peak.millicores / 1000:g} CPU, {size_words(peak.memory)}"
             f" memory, {size_words(peak.storage)} storage, {count_words(peak.gpus, 'GPU')}"),
        Item(label="environment", value=body.environment_lock or "(no lock)"),
        Item(label="until", value=f"decide by {moment_words(asked.deadline)}", note=_until(facts)),
    ]  # fmt: skip
    return _section(
        "consent", "What a yes permits, and until when", items,
        whole_listing(
            "Images", [Item(label=one.name, value=one.spec.image) for one in body.steps]
        ),
        whole_listing("Commands", [*_commands(body.steps)]),
        whole_listing("Data that it reads", [*_data(facts)]),
        whole_listing("Parameters", [*_parameters(facts)]),
        whole_listing("Environment variables", [*_environment(body.steps)]),
        whole_listing("Network that steps may reach", [*_egress(body.steps)]),
        whole_listing("Secrets that steps are given", [*_secrets(body.steps)]),
    )  # fmt: skip


def _until(facts: ReviewFacts) -> str:
    soon = period_words(facts.start_within.total_seconds())
    late = period_words(facts.wait_at_most.total_seconds())
    return (
        f"After the last approval it starts within {soon}, or waits for room at most {late};"
        " then it ends."
    )


def _commands(steps: tuple[PlannedStep, ...]) -> Iterator[Item]:
    """As a shell would be given them, so that no two commands look the same."""
    for step in steps:
        words = shlex.join([*step.spec.command, *step.spec.args])
        yield Item(label=step.name, value=words or "(the image's own)")


def _data(facts: ReviewFacts) -> Iterator[Item]:
    for alias, data in sorted(facts.data.items()):
        yield Item(label=alias, value=_data_words(data))


def _data_words(data: BoundData) -> str:
    return (
        f"{data.dataset} version {data.version}: {count_words(data.files, 'file')},"
        f" {size_words(data.total_bytes)}, {data.digest}"
    )


def _parameters(facts: ReviewFacts) -> Iterator[Item]:
    for name, value in sorted(facts.plan.document.body.parameters.items()):
        yield Item(label=name, value=value_words(value))


def _environment(steps: tuple[PlannedStep, ...]) -> Iterator[Item]:
    for step in steps:
        for variable in step.spec.env:
            yield Item(label=f"{step.name}/{variable.name}", value=variable.value)


def _egress(steps: tuple[PlannedStep, ...]) -> Iterator[Item]:
    """Each host once, with the steps that may reach it."""
    reached: dict[str, list[str]] = {}
    for step in steps:
        for rule in step.spec.egress:
            reached.setdefault(f"{rule.host}:{rule.port}", []).append(step.name)
    for host, names in sorted(reached.items()):
        yield Item(label=host, value=", ".join(names))


def _secrets(steps: tuple[PlannedStep, ...]) -> Iterator[Item]:
    for step in steps:
        for secret in step.spec.secrets:
            yield Item(label=f"{step.name}/{secret.name}", value=secret.secretRef)


def _digests(facts: ReviewFacts) -> Section:
    asked = facts.asked
    items = [
        Item(label="plan", value=format_digest(facts.plan.digest)),
        Item(label="generation", value=str(asked.generation)),
        Item(label="gate", value=str(asked.gate_id), note=asked.rule.name),
        Item(label="run", value=str(asked.run_id)),
        Item(label="project", value=str(asked.project_id)),
        Item(label="opened", value=moment_words(asked.opened_at)),
    ]
    return _section("digests", "What this is about, by its digests", items)
