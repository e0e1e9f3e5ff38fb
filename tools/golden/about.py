"""What a server says about itself, and how it refuses."""

from __future__ import annotations

from tools.golden.asking import ask, get, post

JSON = "application/json"
QUERY = "/api/v1/records/query"

INFORMATION = ["name", "version", "motd", "manager_heartbeat_frequency*"]

EXCHANGES = [
    get("ping", "ping"),
    ask("ping with two slashes", "GET", "//api/v1/ping"),
    get("information", "information", masks=INFORMATION),
    ask("information for managers", "GET", "/compute/v1/information", masks=INFORMATION),
    get("message of the day", "motd"),
    get("description of the API", "openapi_spec", masks=["paths", "components", "info.*", "tags", "servers"]),
    get("all routes", "all_routes", masks=["*"]),
    get("an unknown address", "nowhere"),
    post("an unknown address to post to", "nowhere", {}),
    ask("an unknown family", "GET", "/other/v1/ping"),
    ask("an unknown version", "GET", "/api/v2/ping"),
    get("a slash too many", "information/"),
    ask("a wrong method", "DELETE", "/api/v1/information"),
    ask("another wrong method", "PUT", QUERY, {}),
    ask("GET where POST is meant", "GET", QUERY),
    ask("GET where only POST of managers is meant", "GET", "/compute/v1/tasks/claim"),
    ask("HEAD", "HEAD", "/api/v1/information"),
    ask("no content type", "POST", QUERY, {}, headers={"Content-Type": None}),
    ask("an unknown content type", "POST", QUERY, {}, headers={"Content-Type": "text/plain"}),
    ask("no body", "POST", QUERY),
    ask("an empty body", "POST", QUERY, text=""),
    ask("a body that is no JSON", "POST", QUERY, text="{", headers={"Content-Type": JSON}),
    ask(
        "a body that is no MessagePack", "POST", QUERY, text="\x01\x02", headers={"Content-Type": "application/msgpack"}
    ),
    ask("a list for an object", "POST", QUERY, []),
    ask("null for an object", "POST", QUERY, None),
    ask("an unknown key", "POST", QUERY, {"recordid": [1]}),
    ask("text for a number", "POST", QUERY, {"record_id": ["one"]}),
    ask("a number for a list", "POST", QUERY, {"record_id": 1}),
    ask("a status that is none", "POST", QUERY, {"status": ["finished"]}),
    ask("a time that is none", "POST", QUERY, {"created_after": "yesterday"}),
    ask("a charset", "POST", QUERY, text="{}", headers={"Content-Type": JSON + "; charset=utf-8"}),
    ask("any answer will do", "GET", "/api/v1/ping", headers={"Accept": "*/*"}),
    ask("no wish for an answer", "GET", "/api/v1/ping", headers={"Accept": None}),
    ask("an answer for browsers", "GET", "/api/v1/ping", headers={"Accept": "text/html"}),
    ask("an answer nobody gives", "GET", "/api/v1/ping", headers={"Accept": "image/png"}),
    ask(
        "MessagePack for JSON",
        "POST",
        QUERY,
        text="{}",
        headers={"Content-Type": JSON, "Accept": "application/msgpack"},
    ),
    ask("an error is JSON", "GET", "/api/v1/records/1", headers={"Accept": "application/msgpack"}),
]
