"""What is pushed, and in which order: folder, boards, playlist, then alerts."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from dashboards.push.alerting import alert_objects, push_alerts
from dashboards.push.api import Grafana, PushError
from dashboards.push.change import Action, Change, same, without
from dashboards.uids import BOARD_URL, FOLDER_TITLE, FOLDER_UID, PLAYLIST_UID, TAG
from schemas.config import Config
from schemas.settings import SiteSettings

Json = dict[str, Any]

WALLS = ("callboard-wallboard", "callboard-oncall")
PLAYLIST = {
    "title": "Callboard walls",
    "interval": "30s",
    "items": [{"type": "dashboard_by_uid", "value": uid} for uid in WALLS],
}
# Grafana counts these itself, or brings them up to its own version.
_OF_GRAFANA = ("id", "version", "schemaVersion", "pluginVersion")


@dataclass(frozen=True, slots=True)
class Content:
    """All that a push brings; `alerts` is None where Grafana does not deliver them."""

    boards: list[Json]
    playlist: Json = field(default_factory=lambda: PLAYLIST)
    alerts: dict[str, Json] | None = None


def content(config: Config, sites: tuple[SiteSettings, ...]) -> Content:
    """The committed boards with the address of callboard's board in them, and the alerts."""
    folder = files("dashboards") / "generated" / "grafana"
    found = [
        json.loads(file.read_text("utf-8"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    ]
    boards = [_at_home(board, config.board_url) for board in found]
    by_grafana = config.alerts_by == "grafana"
    return Content(boards, alerts=alert_objects(sites, config) if by_grafana else None)


def push(
    grafana: Grafana, what: Content, *, dry_run: bool = False, secrets: bool = False
) -> Iterator[Change]:
    """Bring all into Grafana, one `Change` each as it is done; in a dry run nothing is written.

    `secrets` sends contact points with secrets again although they look equal. Raises `PushError`.
    """
    org = int(grafana.organization()["id"])
    yield _folder(grafana, dry_run)
    for board in what.boards:
        yield _board(grafana, board, dry_run)
    yield _playlist(grafana, what.playlist, org, dry_run)
    if what.alerts is None:
        note = "Prometheus delivers them; for Grafana set CALLBOARD_ALERTS_BY=grafana"
        yield Change(Action.skipped, "alerts", "rules and contact points", note)
        return
    yield from push_alerts(grafana, what.alerts, org, dry_run=dry_run, secrets=secrets)


def _at_home(board: Json, address: str) -> Json:
    found = copy.deepcopy(board)
    for variable in found["templating"]["list"]:
        if variable["name"] == BOARD_URL:
            chosen = {"text": address, "value": address}
            variable |= {"query": address, "current": {**variable["current"], **chosen}}
            variable["options"] = [{**option, **chosen} for option in variable["options"]]
    return found


def _folder(grafana: Grafana, dry_run: bool) -> Change:
    found = grafana.find("reading the folder", lambda: grafana.api.folder.get_folder(FOLDER_UID))
    if found is not None:
        title = found["title"]
        if title != FOLDER_TITLE:
            # Routes and rules know the folder by its title.
            raise PushError(
                f"the folder with uid {FOLDER_UID} is called {title!r} in {grafana.url}; "
                f"call it {FOLDER_TITLE!r} again or give it another uid"
            )
        return Change(Action.unchanged, "folder", FOLDER_TITLE)
    if not dry_run:
        grafana.ask(
            f"making the folder {FOLDER_TITLE} (another one may have that title)",
            lambda: grafana.api.folder.create_folder(FOLDER_TITLE, uid=FOLDER_UID),
        )
    return Change(Action.created, "folder", FOLDER_TITLE)


def _board(grafana: Grafana, board: Json, dry_run: bool) -> Change:
    uid, title = board["uid"], board["title"]
    found = grafana.find(f"reading board {title}", lambda: grafana.api.dashboard.get_dashboard(uid))
    if found is None:
        action = Action.created
    else:
        there, meta = found["dashboard"], found.get("meta") or {}
        if TAG not in (there.get("tags") or []):
            raise PushError(
                f"{grafana.url} has another board with uid {uid}, {there.get('title')!r}, without "
                f"the tag {TAG}; it is left as it is"
            )
        if meta.get("provisioned"):
            note = "this Grafana reads it from a file"
            return Change(Action.skipped, "board", title, note)
        at_home = meta.get("folderUid") == FOLDER_UID
        equal = same(without(board, _OF_GRAFANA), there) and at_home
        action = Action.unchanged if equal else Action.updated
    if action is not Action.unchanged and not dry_run:
        written = {
            "dashboard": {**without(board, ["version"]), "id": None},
            "folderUid": FOLDER_UID,
            "overwrite": True,
            "message": "callboard grafana push",
        }
        grafana.ask(
            f"writing board {title}", lambda: grafana.api.dashboard.update_dashboard(written)
        )
    return Change(action, "board", title)


def _playlist(grafana: Grafana, spec: Json, org: int, dry_run: bool) -> Change:
    """The walls one after another, through the API of Grafana 12 and later."""
    title = spec["title"]
    space = "default" if org == 1 else f"org-{org}"
    # The client puts /api before each path; this API lives in /apis.
    path = f"s/playlist.grafana.app/v1/namespaces/{space}/playlists"
    verbs = grafana.client
    if grafana.find("reading playlists", lambda: verbs.GET(path)) is None:
        note = "this Grafana has no playlist.grafana.app/v1, which came with Grafana 12"
        return Change(Action.skipped, "playlist", title, note)
    one = f"{path}/{PLAYLIST_UID}"
    found = grafana.find("reading the playlist", lambda: verbs.GET(one))
    whole = {"apiVersion": "playlist.grafana.app/v1", "kind": "Playlist", "spec": spec}
    if found is None:
        whole["metadata"] = {"name": PLAYLIST_UID, "namespace": space}
        if not dry_run:
            grafana.ask("writing the playlist", lambda: verbs.POST(path, json=whole))
        return Change(Action.created, "playlist", title)
    if same(spec, found["spec"]):
        return Change(Action.unchanged, "playlist", title)
    if not dry_run:
        whole["metadata"] = found["metadata"]
        grafana.ask("writing the playlist", lambda: verbs.PUT(one, json=whole))
    return Change(Action.updated, "playlist", title)
