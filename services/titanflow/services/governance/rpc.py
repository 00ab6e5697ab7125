"""Who stops trading, why did that happen, and how is the session? Answers of governance."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

from titanflow.adapters.rpc.caller import Caller, Identity
from titanflow.adapters.rpc.check import (
    HEX,
    INSTANT_MAX,
    REASON_MAX,
    TOKEN,
    TOKEN_MAX,
    Check,
    find,
)
from titanflow.adapters.rpc.fact import any_fact, message_of
from titanflow.adapters.rpc.method import AnyMethod, Method
from titanflow.adapters.rpc.ports import (
    Command,
    Governor,
    Historian,
    Incident,
    PodView,
    Reason,
    Ruling,
    Story,
    Verb,
    Watchman,
)
from titanflow.adapters.rpc.refusal import conflict, denied, overloaded, refused, shown
from titanflow.core.base.ident import ID_BYTES
from titanflow.core.governance.tiers import TierView
from titanflow.core.spec.words import KillAction as Action
from titanflow.core.spec.words import KillScope as Scope
from titanflow.rpc.v1 import control_pb2 as control
from titanflow.rpc.v1 import explain_pb2 as explain
from titanflow.rpc.v1 import sessions_pb2 as sessions
from titanflow.wire.v1.words_pb2 import KillAction, KillScope

TOKENS_REMEMBERED: Final = 4_096
"""Tokens whose commands are known here; older ones are known to the record."""
COMMAND_SECONDS: Final = 30.0
"""Longest command, whoever still waits for it: then its token is free again."""
PREFIX_LEAST: Final = 4
STORIES_MAX: Final = 2
"""Most explanations at a time: each computes a session again."""

_CONTROL: Final = control.DESCRIPTOR.services_by_name["Control"]
_EXPLAIN: Final = explain.DESCRIPTOR.services_by_name["Explain"]
_SESSIONS: Final = sessions.DESCRIPTOR.services_by_name["Sessions"]
_PAUSES: Final = (Scope.ARENA, Scope.CONTENDER, Scope.INSTRUMENT)

_Request = (
    control.KillRequest | control.ReleaseRequest | control.PauseRequest | control.ResumeRequest
)


class Once:
    """Sees to it that a token names one command: what came of it is told again."""

    def __init__(self, rule: Callable[[Command], Awaitable[Ruling]]) -> None:
        self._rule = rule
        self._known: OrderedDict[str, tuple[Command, asyncio.Task[Ruling]]] = OrderedDict()

    async def submit(self, command: Command) -> Ruling:
        """Return the ruling on a command, which is asked for once.

        Raises: RefusalError with ALREADY_EXISTS if the token named another command; what *rule*
        raises, and then the token is free again.
        """
        known = self._known.get(command.token)
        if known is None:
            known = command, self._begin(command)
        former, task = known
        if former != command:
            text = f"the token {shown(command.token)} named another command before"
            facts = {"verb": former.verb.value, "scope": former.scope.value, "name": former.name}
            raise conflict(text, facts)
        # A caller who goes away does not take the command with him.
        return await asyncio.shield(task)

    def _begin(self, command: Command) -> asyncio.Task[Ruling]:
        if len(self._known) >= TOKENS_REMEMBERED:
            _, (_, oldest) = next(iter(self._known.items()))
            if not oldest.done():
                raise overloaded(f"{TOKENS_REMEMBERED} commands are under way", 1.0)
            self._known.popitem(last=False)
        task = asyncio.create_task(self._ask(command))
        self._known[command.token] = command, task
        task.add_done_callback(lambda done: self._settle(command.token, done))
        return task

    async def _ask(self, command: Command) -> Ruling:
        async with asyncio.timeout(COMMAND_SECONDS):
            return await self._rule(command)

    def _settle(self, token: str, task: asyncio.Task[Ruling]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._known.pop(token, None)


class ControlAnswers:
    """The commands of people, over who rules on them; *may_command* judges who asks."""

    def __init__(
        self, governor: Governor, may_command: Callable[[Identity], bool] = lambda _: True
    ) -> None:
        self._governor, self._may_command = governor, may_command
        self._once = Once(governor.submit)

    def methods(self) -> Sequence[AnyMethod]:
        """Return what is answered."""
        return (
            Method(_CONTROL, "Kill", answer=self.kill),
            Method(_CONTROL, "Release", answer=self.release),
            Method(_CONTROL, "Pause", answer=self.pause),
            Method(_CONTROL, "Resume", answer=self.resume),
        )

    async def kill(self, request: control.KillRequest, caller: Caller) -> control.KillResponse:
        """Engage a kill switch."""
        ruling = await self._rule(Verb.KILL, request, caller, tuple(Scope))
        return control.KillResponse(
            accepted=True, epoch=ruling.epoch, text=ruling.text, ruling=ruling.id
        )

    async def release(
        self, request: control.ReleaseRequest, caller: Caller
    ) -> control.ReleaseResponse:
        """Release a kill switch."""
        ruling = await self._rule(Verb.RELEASE, request, caller, tuple(Scope))
        return control.ReleaseResponse(
            accepted=True, epoch=ruling.epoch, text=ruling.text, ruling=ruling.id
        )

    async def pause(self, request: control.PauseRequest, caller: Caller) -> control.PauseResponse:
        """Let no new decision begin."""
        ruling = await self._rule(Verb.PAUSE, request, caller, _PAUSES)
        return control.PauseResponse(accepted=True, text=ruling.text)

    async def resume(
        self, request: control.ResumeRequest, caller: Caller
    ) -> control.ResumeResponse:
        """End a pause."""
        ruling = await self._rule(Verb.RESUME, request, caller, _PAUSES)
        return control.ResumeResponse(accepted=True, text=ruling.text)

    async def _rule(
        self, verb: Verb, request: _Request, caller: Caller, scopes: Collection[Scope]
    ) -> Ruling:
        command = self._command(verb, request, caller, scopes)
        ruling = await self._once.submit(command)
        if not ruling.accepted:
            # An answer that looks like success must be one: who overlooks `accepted` of a refused
            # kill would believe that trading had stopped.
            facts = {"epoch": str(ruling.epoch), "ruling": ruling.id.hex()}
            raise refused("RULING_REFUSED", ruling.text, facts)
        return ruling

    def _command(
        self, verb: Verb, request: _Request, caller: Caller, scopes: Collection[Scope]
    ) -> Command:
        """Return the command in a request.

        Raises: RefusalError for what is wrong with it.
        """
        check = Check()
        scope = check.word("scope", request.scope, KillScope, scopes)
        if scope is Scope.ARENA:
            if request.name and not check.problems:
                check.refuse("name", "is for the other scopes: the arena has none", "leave it out")
        elif scope is Scope.INSTRUMENT:
            check.symbol("name", request.name)
        else:
            check.name("name", request.name)
        action, instruments = Action.CANCEL_ALL, tuple[str, ...]()
        if isinstance(request, control.KillRequest):
            action = check.word("action", request.action, KillAction, tuple(Action))
            instruments = check.symbols("instruments", request.instruments)
            if instruments and scope not in {Scope.ARENA, Scope.CONTENDER}:
                check.refuse("instruments", f"a switch of scope {scope.value} takes none")
        check.text("reason", request.reason, REASON_MAX)
        check.text("token", request.token, TOKEN_MAX, pattern=TOKEN)
        check.done()
        by = caller.identity(request.requested_by, "requested_by")
        if not self._may_command(by):
            raise denied(f"{shown(by.name)} may not command here: use a person's certificate")
        self._find(scope, request.name, instruments)
        return Command(
            verb, scope, request.name, instruments, action, request.reason, request.token, by
        )

    def _find(self, scope: Scope, name: str, instruments: Sequence[str]) -> None:
        names = self._governor.names
        known = {
            Scope.CONTENDER: ("contender", names.contenders),
            Scope.INSTRUMENT: ("instrument", names.symbols),
            Scope.POLICY: ("policy", names.policies),
        }
        if scope in known:
            kind, words = known[scope]
            find(kind, name, words, "name")
        for place, symbol in enumerate(instruments):
            find("instrument", symbol, names.symbols, f"instruments[{place}]")


class ExplainAnswers:
    """The questions why something happened, and why somebody may trade."""

    def __init__(self, historian: Historian, tiers: Sequence[TierView] = ()) -> None:
        self._historian = historian
        self._tiers = tiers
        self._running = 0

    def methods(self) -> Sequence[AnyMethod]:
        """Return what is answered."""
        return (
            Method(_EXPLAIN, "Why", answer=self.why),
            Method(_EXPLAIN, "GetTiers", answer=self.get_tiers),
        )

    async def why(self, request: explain.WhyRequest, caller: Caller) -> explain.WhyResponse:  # noqa: ARG002
        """Return the story behind one decision."""
        reason = self._reason(request)
        if self._running >= STORIES_MAX:
            raise overloaded(f"{STORIES_MAX} explanations are under way", 1.0)
        self._running += 1
        try:
            return _story(await self._historian.why(reason))
        finally:
            self._running -= 1

    async def get_tiers(
        self,
        request: explain.GetTiersRequest,
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> explain.GetTiersResponse:
        """Return in which tier each contender is, or one of them, and why."""
        if request.contender:
            check = Check()
            check.name("contender", request.contender)
            check.done()
            find("contender", request.contender, self._historian.names.contenders, "contender")
        return explain.GetTiersResponse(
            tiers=[
                explain.ContenderTier(
                    contender=each.contender,
                    tier=each.tier.value,
                    declared=each.declared.value,
                    policies=each.policies,
                    text=each.text,
                )
                for each in self._tiers
                if request.contender in {"", each.contender}
            ]
        )

    def _reason(self, request: explain.WhyRequest) -> Reason:
        check = Check()
        match request.WhichOneof("question"):
            case "id":
                check.text("id", request.id, 2 * ID_BYTES, pattern=HEX)
                if len(request.id) < PREFIX_LEAST:
                    check.refuse("id", f"has fewer than {PREFIX_LEAST} digits")
                check.done()
                return Reason(ident=request.id)
            case "decision":
                asked, names = request.decision, self._historian.names
                check.name("decision.contender", asked.contender)
                check.symbol("decision.symbol", asked.symbol)
                check.between("decision.at", asked.at, 1, INSTANT_MAX)
                check.done()
                find("contender", asked.contender, names.contenders, "decision.contender")
                find("instrument", asked.symbol, names.symbols, "decision.symbol")
                return Reason(contender=asked.contender, symbol=asked.symbol, at=asked.at)
            case _:
                check.refuse("question", "is missing", "give an id or a decision")
                check.done()
                raise AssertionError


class SessionAnswers:
    """How the session is, over who knows; any pod may answer this about itself."""

    def __init__(self, watchman: Watchman) -> None:
        self._watchman = watchman

    def methods(self) -> Sequence[AnyMethod]:
        """Return what is answered."""
        return (Method(_SESSIONS, "GetStatus", answer=self.get_status),)

    async def get_status(
        self,
        request: sessions.GetStatusRequest,  # noqa: ARG002 - it says nothing
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> sessions.GetStatusResponse:
        """Return how the session is."""
        found = self._watchman.session()
        return sessions.GetStatusResponse(
            session=found.session,
            arena=found.arena,
            watermark=found.watermark,
            kill_epoch=found.kill_epoch,
            engaged=found.engaged,
            lease_until=found.lease_until,
            pods=[_pod(pod) for pod in sorted(found.pods, key=lambda pod: pod.name)],
            latencies=[
                sessions.Latency(
                    span=span.name,
                    count=span.count,
                    p50_ns=span.p50_ns,
                    p99_ns=span.p99_ns,
                    p999_ns=span.p999_ns,
                    max_ns=span.max_ns,
                )
                for span in found.spans
            ],
            incidents=[_incident(incident) for incident in found.incidents],
        )


def _pod(pod: PodView) -> sessions.PodStatus:
    return sessions.PodStatus(
        name=pod.name,
        stages=pod.stages,
        state=f"POD_STATE_{pod.state.name}",
        text=pod.text,
        turn=pod.turn,
        watermark=pod.watermark,
        lag_count=pod.lag_count,
        lag_ns=pod.lag_ns,
        beat_at=pod.beat_at,
        started_at=pod.started_at,
        starts=pod.starts,
        code=pod.code,
    )


def _incident(incident: Incident) -> sessions.Incident:
    return sessions.Incident(
        kind=f"INCIDENT_KIND_{incident.kind.name}",
        pod=incident.pod,
        began_at=incident.began_at,
        ended_at=incident.ended_at,
        text=incident.text,
    )


def _story(story: Story) -> explain.WhyResponse:
    parts: dict[str, Any] = {
        name: message_of(fact)
        for name in ("signal", "belief", "intent", "verdict")
        if (fact := getattr(story, name)) is not None
    }
    return explain.WhyResponse(
        subject=any_fact(story.subject),
        chain=[any_fact(fact) for fact in story.chain],
        features=story.features,
        lineage=[explain.Lineage(name=name, value=value) for name, value in story.lineage],
        sentence=story.sentence,
        **parts,
    )
