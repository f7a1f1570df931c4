"""The part of Grafana's HTTP API that a push uses, with a memory, on a real socket.

Answers follow Grafana 12 and 13: secrets come back redacted, rule groups with defaults added and
durations in their shortest form, lists of policies as one tree, playlists as API objects.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Json = dict[str, Any]

TOKEN = "glsa_of_a_test"
SECRET_SETTINGS = {"authorization_credentials", "integrationKey"}
SECRET_URLS = {"slack", "teams"}


class Answer(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Grafana:
    """What the server knows; `writes` are the requests that changed it."""

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}
        self.boards: dict[str, Json] = {}
        self.playlists: dict[str, Json] = {}
        self.sources = {"callboard-prometheus"}
        self.points: dict[str, Json] = {}
        self.timings: dict[str, Json] = {}
        self.templates: dict[str, Json] = {}
        self.policies: Json = {
            "receiver": "empty",
            "group_by": ["grafana_folder", "alertname"],
            "routes": [{"receiver": "payroll", "object_matchers": [["team", "=", "payroll"]]}],
            "provenance": "",
        }
        self.groups: dict[str, Json] = {}
        self.writes: list[str] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.has_playlists = True
        self.allowed = f"Bearer {TOKEN}"
        self.url = ""

    def answer(self, verb: str, path: str, body: Any, token: str) -> Any:
        """The answer to a request; raises `Answer`."""
        for start, (status, message) in self.refuse.items():
            if f"{verb} {path}".startswith(start):
                raise Answer(status, message)
        if token != self.allowed:
            raise Answer(401, f"Invalid API key {token}")
        for (known, pattern), method in ROUTES.items():
            match = re.fullmatch(pattern, path)
            if known == verb and match:
                found = method(self, body, *map(unquote, match.groups()))
                if verb != "GET":
                    self.writes.append(f"{verb} {path}")
                return found
        raise Answer(404, "Not found")

    # --- folders, boards, playlists

    def get_folder(self, _: Any, uid: str) -> Json:
        return {"uid": uid, "title": _known(self.folders, uid, "folder not found")}

    def post_folder(self, body: Json) -> Json:
        if body["title"] in self.folders.values():
            raise Answer(409, "a folder with the same name already exists in the current location")
        self.folders[body["uid"]] = body["title"]
        return body

    def get_board(self, _: Any, uid: str) -> Json:
        found: Json = _known(self.boards, uid, "Dashboard not found")
        return copy.deepcopy(found)

    def post_board(self, body: Json) -> Json:
        board, uid = body["dashboard"], body["dashboard"]["uid"]
        if body["folderUid"] not in self.folders:
            raise Answer(400, "folder not found")
        version = 1 + (self.boards[uid]["dashboard"]["version"] if uid in self.boards else 0)
        stored = {**board, "id": 7, "version": version}
        self.boards[uid] = {"dashboard": stored, "meta": {"folderUid": body["folderUid"]}}
        return {"uid": uid, "status": "success", "version": version}

    def list_playlists(self, _: Any) -> Json:
        if not self.has_playlists:
            raise Answer(404, "Not found")
        return {"items": list(self.playlists.values())}

    def get_playlist(self, _: Any, uid: str) -> Json:
        found: Json = _known(self.playlists, uid, "playlist not found")
        return found

    def post_playlist(self, body: Json) -> Json:
        uid = body["metadata"]["name"]
        if uid in self.playlists:
            raise Answer(409, "already exists")
        self.playlists[uid] = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        return self.playlists[uid]

    def put_playlist(self, body: Json, uid: str) -> Json:
        there = self.get_playlist(None, uid)["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion") != there:
            raise Answer(409, "the object has been modified")
        self.playlists[uid] = body
        return body

    # --- alerting

    def get_source(self, _: Any, uid: str) -> Json:
        if uid not in self.sources:
            raise Answer(404, "Data source not found")
        return {"uid": uid}

    def get_points(self, _: Any) -> list[Json]:
        return [_redacted(point) for point in self.points.values()]

    def post_point(self, body: Json) -> Json:
        self.points[body["uid"]] = {**body, "provenance": "api"}
        return body

    def put_point(self, body: Json, uid: str) -> Json:
        _known(self.points, uid, "contact point not found")
        self.points[uid] = {**body, "provenance": "api"}
        return {"message": "contactpoint updated"}

    def get_timings(self, _: Any) -> list[Json]:
        return list(self.timings.values())

    def post_timing(self, body: Json) -> Json:
        if body["name"] in self.timings:
            raise Answer(409, "time interval already exists")
        self.timings[body["name"]] = {**body, "version": "1", "provenance": "api"}
        return body

    def put_timing(self, body: Json, name: str) -> Json:
        _known(self.timings, name, "mute timing not found")
        self.timings[name] = {**body, "version": "2", "provenance": "api"}
        return body

    def get_template(self, _: Any, name: str) -> Json:
        found: Json = _known(self.templates, name, "template not found")
        return found

    def put_template(self, body: Json, name: str) -> Json:
        stored = {"name": name, "template": body["template"].strip(), "provenance": "api"}
        self.templates[name] = stored
        return stored

    def get_policies(self, _: Any) -> Json:
        return copy.deepcopy(self.policies)

    def put_policies(self, body: Json) -> Json:
        points = {point["name"] for point in self.points.values()} | {"empty", "payroll"}
        for route in _routes(body):
            # Grafana sorts the matchers of a route when it reads them.
            if "object_matchers" in route:
                route["object_matchers"].sort()
            if route["receiver"] not in points:
                raise Answer(400, f"receiver {route['receiver']} does not exist")
            for timing in route.get("mute_time_intervals", []):
                if timing not in self.timings:
                    raise Answer(400, f"mute time interval {timing} does not exist")
        self.policies = {**body, "provenance": "api"}
        return {"message": "policies updated"}

    def get_group(self, _: Any, folder: str, name: str) -> Json:
        found: Json = _known(self.groups, f"{folder}/{name}", "rule group not found")
        return found

    def put_group(self, body: Json, folder: str, name: str) -> Json:
        if folder not in self.folders:
            raise Answer(404, "folder not found")
        if body["interval"] % 10:
            raise Answer(400, "interval must be divisible by 10 seconds")
        rules = [_stored_rule(rule, number) for number, rule in enumerate(body["rules"])]
        self.groups[f"{folder}/{name}"] = {**body, "rules": rules}
        return body


def _known(there: dict[str, Any], key: str, message: str) -> Any:
    if key not in there:
        raise Answer(404, message)
    return there[key]


def _routes(route: Json) -> Iterator[Json]:
    yield route
    for nested in route.get("routes") or []:
        yield from _routes(nested)


def _redacted(point: Json) -> Json:
    hidden = SECRET_SETTINGS | ({"url"} if point["type"] in SECRET_URLS else set())
    settings = {k: "[REDACTED]" if k in hidden else v for k, v in point["settings"].items()}
    return {**point, "settings": settings}


def _stored_rule(rule: Json, number: int) -> Json:
    for key in ("orgID", "folderUID", "ruleGroup", "title", "condition", "data", "for"):
        if key not in rule:
            raise Answer(400, f"{key} is missing")
    data = [
        {**query, "queryType": "", "model": {"intervalMs": 1000, **query["model"]}}
        for query in rule["data"]
    ]
    stored = {
        **rule,
        "id": number,
        "updated": "2026-01-01T00:00:00Z",
        "provenance": "api",
        "data": data,
    }
    return {**stored, "for": _shortest(rule["for"]), "isPaused": False}


def _shortest(duration: str) -> str:
    minutes, seconds = divmod(_seconds(duration), 60)
    return "".join([f"{minutes}m" if minutes else "", f"{seconds}s" if seconds else ""]) or "0s"


def _seconds(duration: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)([hms])", duration))


_PLAYLISTS = "/apis/playlist.grafana.app/v1/namespaces/default/playlists"
_ALERTS = "/api/v1/provisioning"
_GROUP = rf"{_ALERTS}/folder/([^/]+)/rule-groups/([^/]+)"

ROUTES: dict[tuple[str, str], Callable[..., Any]] = {
    ("GET", "/api/org"): lambda self, _: {"id": 1, "name": "Main Org."},
    ("GET", r"/api/folders/([^/]+)"): Grafana.get_folder,
    ("POST", "/api/folders"): Grafana.post_folder,
    ("GET", r"/api/dashboards/uid/([^/]+)"): Grafana.get_board,
    ("POST", "/api/dashboards/db"): Grafana.post_board,
    ("GET", _PLAYLISTS): Grafana.list_playlists,
    ("GET", rf"{_PLAYLISTS}/([^/]+)"): Grafana.get_playlist,
    ("POST", _PLAYLISTS): Grafana.post_playlist,
    ("PUT", rf"{_PLAYLISTS}/([^/]+)"): Grafana.put_playlist,
    ("GET", r"/api/datasources/uid/([^/]+)"): Grafana.get_source,
    ("GET", f"{_ALERTS}/contact-points"): Grafana.get_points,
    ("POST", f"{_ALERTS}/contact-points"): Grafana.post_point,
    ("PUT", rf"{_ALERTS}/contact-points/([^/]+)"): Grafana.put_point,
    ("GET", f"{_ALERTS}/mute-timings"): Grafana.get_timings,
    ("POST", f"{_ALERTS}/mute-timings"): Grafana.post_timing,
    ("PUT", rf"{_ALERTS}/mute-timings/([^/]+)"): Grafana.put_timing,
    ("GET", rf"{_ALERTS}/templates/([^/]+)"): Grafana.get_template,
    ("PUT", rf"{_ALERTS}/templates/([^/]+)"): Grafana.put_template,
    ("GET", f"{_ALERTS}/policies"): Grafana.get_policies,
    ("PUT", f"{_ALERTS}/policies"): Grafana.put_policies,
    ("GET", _GROUP): Grafana.get_group,
    ("PUT", _GROUP): Grafana.put_group,
}


@contextmanager
def running(prefix: str = "") -> Iterator[Grafana]:
    """A Grafana that listens; `prefix` is the path it is served below."""
    grafana = Grafana()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            path = urlsplit(self.path).path
            assert path.startswith(prefix), path
            try:
                status, found = (
                    200,
                    grafana.answer(
                        self.command,
                        path.removeprefix(prefix),
                        json.loads(raw) if raw else None,
                        self.headers.get("Authorization", ""),
                    ),
                )
            except Answer as refused:
                status, found = refused.status, {"message": str(refused)}
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """A test says nothing of each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    grafana.url = f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
