"""Lines of queue_log to canonical events.

A hundred thousand lines a second leave no time to validate each event by its model. The events are
made here field by field of checked names, a test holds them against `validate_event`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.sources.fitting import fit
from pipeline.sources.platforms.asterisk_queue_log.agents import WRAP, Agents, Said
from pipeline.sources.platforms.asterisk_queue_log.calls import Calls
from pipeline.sources.platforms.asterisk_queue_log.fields import (
    LINE_STEP,
    ROW_STEP,
    Fields,
    agent_of,
    call_of,
    data_of,
    queue_of,
    read_line,
    read_row,
    span_of,
)
from pipeline.sources.platforms.asterisk_queue_log.wraps import Wraps
from pipeline.sources.source import Context, Event, Translator, Unread
from pipeline.sources.values import shown
from schemas.events import MAX_ID

# Written by Asterisk of a call or of the log, and saying nothing that is counted.
SAYS_NOTHING = ("CONFIGRELOAD", "OUTCALL", "PENALTY", "RINGINUSE", "SYSCOMPAT")
# Written by distributions and tools through QueueLog() or straight into the file.
CUSTOM = (
    "CALLSTATUS", "CLOSED", "DID", "DIVERT_CA_RATIO", "DIVERT_HOLDTIME", "FULL", "HEARTBEAT",
    "INFO", "JOINEMPTY",
)  # fmt: skip

_AUTO_UNPAUSE = "Auto-Unpause"
"""Before a PAUSE of a new reason; the member was never unpaused."""
_NO_NUMBER = frozenset(
    {"anonymous", "private", "restricted", "unavailable", "unknown", "<unknown>"}
)
"""What stands in a number's place: not one customer who calls very often."""

Handler = Callable[[int, Fields], list[Event]]


class QueueLog(Translator):
    """One queue_log in the order of its lines; remembers calls, queues of agents, wrap-ups."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options = context.options
        self._common = {"site": context.site, "source": context.source}
        self._zone = "UTC" if options.row_times == "gmt" else context.time_zone
        self._step = LINE_STEP
        self._aliases: dict[str, str] = options.agents
        self._wraps_by_pause: bool = options.wrap_up_after_calls
        self._calls, self._wraps = Calls(), Wraps()
        self._agents = Agents(frozenset(word.casefold() for word in options.wrap_up_reasons))
        self._handlers = self._all_handlers()

    def translate(self, payload: bytes) -> list[Event]:
        """The events of a line, or of a row of the table as a JSON object."""
        if payload.startswith(b"{"):
            ts, fields = read_row(payload, self._zone)
            self._step = ROW_STEP
        else:
            ts, fields = read_line(payload)
            self._step = LINE_STEP
        handler = self._handlers.get(fields[4])
        if handler is None:
            raise Unread("event", f"{shown(fields[4])} is no event of app_queue; see `ignore`")
        return handler(ts, fields)

    def memory(self) -> Any:
        """What is remembered, as JSON."""
        calls, agents, wraps = self._calls.memory(), self._agents.memory(), self._wraps.memory()
        memory = {"calls": calls, "agents": agents, "wraps": wraps}
        return fit(memory, [calls["talking"], calls["waiting"], agents, wraps])

    def recall(self, memory: Any) -> None:
        """Take up a memory."""
        self._calls.recall(memory["calls"])
        self._agents.recall(memory["agents"])
        self._wraps.recall(memory["wraps"])

    def _all_handlers(self) -> dict[str, Handler]:
        quiet = (*SAYS_NOTHING, *CUSTOM, *self.context.options.ignore)
        return {
            **dict.fromkeys(quiet, self._nothing),
            "ENTERQUEUE": self._entered,
            "CONNECT": self._answered,
            "COMPLETEAGENT": self._completed,
            "COMPLETECALLER": self._completed,
            "BLINDTRANSFER": self._transferred,
            "ATTENDEDTRANSFER": self._transferred,
            "TRANSFER": self._transferred,
            "CALLERONHOLD": self._held,
            "CALLEROFFHOLD": self._resumed,
            "ABANDON": self._abandoned,
            "EXITWITHTIMEOUT": self._timed_out,
            "EXITEMPTY": self._left_empty,
            "EXITWITHKEY": self._left_by_key,
            "WITHDRAW": self._withdrawn,
            "RINGNOANSWER": self._not_answered,
            "RINGCANCELED": self._ring_canceled,
            "AGENTDUMP": self._dumped,
            "ADDMEMBER": self._added,
            "REMOVEMEMBER": self._removed,
            "PAUSE": self._paused,
            "UNPAUSE": self._unpaused,
            "PAUSEALL": self._paused_everywhere,
            "UNPAUSEALL": self._unpaused_everywhere,
            "PAUSEREASON": self._reason_given,
            "AGENTLOGIN": self._logged_in,
            "AGENTCALLBACKLOGIN": self._logged_in,
            "AGENTLOGOFF": self._logged_off,
            "AGENTCALLBACKLOGOFF": self._logged_off,
            "QUEUESTART": self._started,
        }

    def _agent(self, fields: Fields) -> str:
        name = agent_of(fields)
        return self._aliases.get(name, name)

    @staticmethod
    def _nothing(_: int, __: Fields) -> list[Event]:
        return []

    # Calls

    def _entered(self, ts: int, fields: Fields) -> list[Event]:
        call, queue = call_of(fields), queue_of(fields)
        event = {
            "type": "contact.queued", **self._common, "ts": ts, "contact": call, "queue": queue,
            "channel": "voice", "direction": "inbound",
        }  # fmt: skip
        number = data_of(fields, 2).strip()
        if number and len(number) <= MAX_ID and number.casefold() not in _NO_NUMBER:
            event["customer"] = number
        self._calls.waits(call, queue, ts)
        return [event]

    def _answered(self, ts: int, fields: Fields) -> list[Event]:
        call, queue, agent = call_of(fields), queue_of(fields), self._agent(fields)
        ring = span_of(fields, 3, 1000)
        answered = {
            "type": "contact.answered", **self._common, "ts": ts, "contact": call, "agent": agent,
            "queue": queue, "channel": "voice",
        }  # fmt: skip
        self._calls.answered(call, agent, ts)
        self._agents.takes_calls_of(agent, queue)
        events = [*self._rang(call, agent, ts, ring), answered]
        return events + self._wrapped_up(agent, ts) if self._wraps_by_pause else events

    def _rang(self, call: str, agent: str, ts: int, ring: int | None) -> list[Event]:
        """A ring that ended at `ts`, in the resolution of the log; never before the call waited.

        One that is shorter is none: within its second it could not be told from what ended it.
        """
        if ring is None or ring < self._step:
            return []
        begun = ts - ring // self._step * self._step
        waiting_since = self._calls.waiting_since(call)
        if begun < waiting_since <= ts:
            # app_queue takes some rings as a difference of whole seconds, too long by up to one.
            begun = waiting_since
        return [
            {
                "type": "contact.offered", **self._common, "ts": begun, "contact": call,
                "agent": agent,
            }
        ]  # fmt: skip

    def _completed(self, ts: int, fields: Fields) -> list[Event]:
        return self._released(ts, fields, "completed")

    def _transferred(self, ts: int, fields: Fields) -> list[Event]:
        return self._released(ts, fields, "transferred")

    def _released(self, ts: int, fields: Fields, reason: str) -> list[Event]:
        call, agent = call_of(fields), self._agent(fields)
        self._calls.ended(call)
        released = {
            "type": "contact.released", **self._common, "ts": ts, "contact": call, "agent": agent,
            "reason": reason,
        }  # fmt: skip
        if self._wraps_by_pause:
            before = self._wraps.begin(agent, call, ts, self._agents.wraps_up(agent, ts))
            return [released, *(self._wrapped(*ended) for ended in before)]
        return [released, self._wrapped(call, agent, ts)]

    def _wrapped(self, call: str, agent: str, ts: int) -> Event:
        return {
            "type": "contact.wrapped", **self._common, "ts": ts, "contact": call, "agent": agent,
        }  # fmt: skip

    def _wrapped_up(self, agent: str, ts: int) -> list[Event]:
        return [self._wrapped(*ended) for ended in self._wraps.end(agent, ts)]

    def _held(self, ts: int, fields: Fields) -> list[Event]:
        return [self._hold("contact.held", ts, fields)]

    def _resumed(self, ts: int, fields: Fields) -> list[Event]:
        return [self._hold("contact.resumed", ts, fields)]

    def _hold(self, name: str, ts: int, fields: Fields) -> Event:
        call, agent = call_of(fields), self._agent(fields)
        return {"type": name, **self._common, "ts": ts, "contact": call, "agent": agent}

    def _abandoned(self, ts: int, fields: Fields) -> list[Event]:
        # The agent is named if the caller hung up while the agent heard the announcement.
        call, queue = call_of(fields), queue_of(fields)
        self._calls.waits_no_more(call)
        return [
            {
                "type": "contact.abandoned", **self._common, "ts": ts, "contact": call,
                "queue": queue,
            }
        ]  # fmt: skip

    def _timed_out(self, ts: int, fields: Fields) -> list[Event]:
        return self._left(ts, fields, "timeout")

    def _left_empty(self, ts: int, fields: Fields) -> list[Event]:
        return self._left(ts, fields, "other")

    def _withdrawn(self, ts: int, fields: Fields) -> list[Event]:
        return self._left(ts, fields, "other")

    def _left_by_key(self, ts: int, fields: Fields) -> list[Event]:
        key, options = data_of(fields, 1), self.context.options
        of_queue = options.queue_exit_keys.get(fields[2], {})
        return self._left(ts, fields, of_queue.get(key) or options.exit_keys.get(key, "other"))

    def _left(self, ts: int, fields: Fields, reason: str) -> list[Event]:
        call, queue = call_of(fields), queue_of(fields)
        self._calls.waits_no_more(call)
        return [self._lost(call, queue, ts, reason)]

    def _lost(self, call: str, queue: str, ts: int, reason: str = "lost") -> Event:
        return {
            "type": "contact.left", **self._common, "ts": ts, "contact": call, "queue": queue,
            "reason": reason,
        }  # fmt: skip

    def _not_answered(self, ts: int, fields: Fields) -> list[Event]:
        call, queue, agent = call_of(fields), queue_of(fields), self._agent(fields)
        ring = span_of(fields, 1, 1)
        self._agents.takes_calls_of(agent, queue)
        declined = self._declined(call, agent, ts, "no_answer")
        return [*self._rang(call, agent, ts, ring), declined]

    def _ring_canceled(self, ts: int, fields: Fields) -> list[Event]:
        # The caller went; the agent declined nothing. The line that ends the wait ends the ring.
        call, agent = call_of(fields), self._agent(fields)
        return self._rang(call, agent, ts, span_of(fields, 1, 1))

    def _dumped(self, ts: int, fields: Fields) -> list[Event]:
        # The agent hung up during the announcement; the caller goes on waiting.
        return [self._declined(call_of(fields), self._agent(fields), ts, "rejected")]

    def _declined(self, call: str, agent: str, ts: int, reason: str) -> Event:
        return {
            "type": "contact.declined", **self._common, "ts": ts, "contact": call, "agent": agent,
            "reason": reason,
        }  # fmt: skip

    # Agents

    def _added(self, ts: int, fields: Fields) -> list[Event]:
        agent, queue = self._agent(fields), queue_of(fields)
        paused = data_of(fields, 1) == "PAUSED"
        return self._states(agent, ts, self._agents.added(agent, queue, paused, ts))

    def _removed(self, ts: int, fields: Fields) -> list[Event]:
        agent, queue = self._agent(fields), queue_of(fields)
        return self._states(agent, ts, self._agents.removed(agent, queue, ts))

    def _paused(self, ts: int, fields: Fields) -> list[Event]:
        agent, queue = self._agent(fields), queue_of(fields)
        return self._states(agent, ts, self._agents.paused(agent, queue, data_of(fields, 1), ts))

    def _unpaused(self, ts: int, fields: Fields) -> list[Event]:
        agent, queue = self._agent(fields), queue_of(fields)
        if data_of(fields, 1) == _AUTO_UNPAUSE:
            return []
        return self._states(agent, ts, self._agents.unpaused(agent, queue, ts))

    def _paused_everywhere(self, ts: int, fields: Fields) -> list[Event]:
        agent = self._agent(fields)
        said = self._agents.paused_everywhere(agent, data_of(fields, 1), ts)
        return self._states(agent, ts, said)

    def _unpaused_everywhere(self, ts: int, fields: Fields) -> list[Event]:
        agent = self._agent(fields)
        return self._states(agent, ts, self._agents.unpaused_everywhere(agent, ts))

    def _reason_given(self, ts: int, fields: Fields) -> list[Event]:
        agent = self._agent(fields)
        said = self._agents.reason_given(agent, data_of(fields, 1), ts)
        return self._states(agent, ts, said)

    def _logged_in(self, ts: int, fields: Fields) -> list[Event]:
        agent = self._agent(fields)
        return self._states(agent, ts, self._agents.logged(agent, True, ts))

    def _logged_off(self, ts: int, fields: Fields) -> list[Event]:
        agent = self._agent(fields)
        return self._states(agent, ts, self._agents.logged(agent, False, ts))

    def _states(self, agent: str, ts: int, said: Said | None) -> list[Event]:
        if said is None:
            return []
        events = [self._state(agent, ts, said)]
        if self._wraps_by_pause:
            if said.state == WRAP:
                self._wraps.paused(agent)
            else:
                events += self._wrapped_up(agent, ts)
        return events

    def _state(self, agent: str, ts: int, said: Said) -> Event:
        # Two states of one second have no order but that of their ids.
        event = {
            "type": "agent.state", **self._common, "ts": ts, "agent": agent,
            "id": f"{said.place:03d}", "state": said.state,
        }  # fmt: skip
        if said.reason:
            event["reason"] = said.reason
        return event

    # Asterisk itself

    def _started(self, ts: int, _: Fields) -> list[Event]:
        options = self.context.options
        if not options.restart_ends_calls:
            return []
        waiting, talking = self._calls.lost(ts)
        events = [self._lost(call, queue, ts) for call, queue in waiting]
        for call, agent in talking:
            events.append(
                {
                    "type": "contact.released", **self._common, "ts": ts, "contact": call,
                    "agent": agent, "reason": "completed",
                }
            )  # fmt: skip
            events.append(self._wrapped(call, agent, ts))
        agents = self._agents.restarted(ts, options.persistent_members)
        return events + [self._state(name, ts, said) for name, said in agents]
