"""What only the site knows of its queue_log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from pipeline.sources.source import NoOptions
from schemas.events import Id, LeftReason


def _keys_as_text(value: Any) -> Any:
    # YAML reads the key of `1: callback` as a number.
    if not isinstance(value, dict):
        return value
    return {
        str(key) if isinstance(key, int) and not isinstance(key, bool) else key: inner
        for key, inner in value.items()
    }


Keys = Annotated[dict[str, LeftReason], BeforeValidator(_keys_as_text)]


class QueueLogOptions(NoOptions):
    """Options of a site's queue_log; the docs page says what each is for."""

    exit_keys: Keys = {}
    """What a key means that a caller presses to leave; keys not named are `other`."""
    queue_exit_keys: dict[str, Keys] = {}
    """The same for single queues; it goes before `exit_keys`."""
    wrap_up_reasons: list[str] = ["acw", "after call work", "wrap up", "wrap-up", "wrapup"]
    """Pause reasons that mean wrap-up, in any case."""
    wrap_up_after_calls: bool = False
    """Every call is followed by such a pause: a leg ends with it, and not with the talk."""
    ignore: list[str] = []
    """Further names of events, written by the site itself, that say nothing."""
    agents: dict[str, Id] = {}
    """Other names of an agent (an interface, say) and the one to be used."""
    row_times: Literal["site", "gmt"] = "site"
    """Whose clock the times of SQL rows show; `gmt` with `queue_log_realtime_use_gmt`."""
    restart_ends_calls: bool = True
    """Whether QUEUESTART ends all calls; not where several servers write to one site."""
    persistent_members: bool = True
    """As in queues.conf; without it a start of Asterisk ends all memberships, without a line."""
