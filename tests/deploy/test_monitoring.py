"""Rules of Prometheus ask for metrics that there are, and the load balancer for pages that there are."""

import json
import re
from typing import Any

import pytest
from tests.deploy.reading import DEPLOY, load_one

from flowforge.kit.telemetry.metrics import Metrics

RULES: list[dict[str, Any]] = load_one(DEPLOY / "prometheus" / "alerts.yaml")["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "flowforge.json").read_text("utf-8"))
METRIC = re.compile(r"flowforge_[a-z_]+")
SUFFIXES = ("_bucket", "_sum", "_count", "_total")


def list_series() -> dict[str, set[str]]:
    """The names of all series, each with its labels."""
    metrics = Metrics()
    metrics.count_run_finished("completed")
    assert metrics.server  # a process that answers requests shows these too
    found: dict[str, set[str]] = {}
    for collector in list(metrics.registry._collector_to_names):  # pyright: ignore[reportPrivateUsage] - nothing public lists them
        names = metrics.registry._collector_to_names[collector]  # pyright: ignore[reportPrivateUsage] - as above
        labels: set[str] = set(getattr(collector, "_labelnames", ()))
        found |= dict.fromkeys(names, labels)
    return found


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_rule_is_whole_and_asks_for_what_there_is(rule: dict[str, Any]):
    series = list_series()
    names = set(METRIC.findall(rule["expr"]))
    assert names
    assert names <= set(series)
    check_labels(rule["expr"])
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "action"}
    for template in re.findall(r"\{\{(.+?)\}\}", rule["annotations"]["summary"]):
        assert template.split("|")[0].strip() in {
            "$value",
            "$labels.queue",
            "$labels.duty",
            "$labels.route",
            "$labels.kind",
        }


def test_rules_have_names_of_their_own_and_cover_the_faults_that_count():
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    asked = set(METRIC.findall(" ".join(rule["expr"] for rule in RULES)))
    assert asked >= {
        "flowforge_worker_info",
        "flowforge_queue_age_seconds",
        "flowforge_dead_letters_total",
        "flowforge_stuck_runs",
        "flowforge_storage_full",
        "flowforge_database_up",
        "flowforge_broker_up",
        "flowforge_is_leader",
        "flowforge_http_requests_total",
        "flowforge_http_request_seconds_bucket",
        "flowforge_rate_limited_total",
        "flowforge_sign_in_failures_total",
        "flowforge_audit_broken",
        "flowforge_webhook_deliveries_total",
        "flowforge_event_deliveries_total",
    }


def check_labels(expression: str) -> None:
    """What an expression selects or groups by are labels of what it asks for."""
    series = list_series()
    for name, selection in re.findall(r"(flowforge_[a-z_]+)\{(.*?)\}", expression):
        assert set(re.findall(r"(\w+)=", selection)) <= series[name]
    asked = set[str]().union(*(series[name] for name in METRIC.findall(expression)))
    for labels in re.findall(r"\bby \((.*?)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= asked | {"le"}


PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_panel_is_whole_and_asks_for_what_there_is(panel: dict[str, Any]):
    assert panel["targets"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        names = set(METRIC.findall(target["expr"]))
        assert names
        assert names <= set(list_series())
        check_labels(target["expr"])
        assert target["expr"].count("(") == target["expr"].count(")")


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        covered = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not covered & cells
        assert all(x < 24 for x, _ in covered)
        cells |= covered


def test_adapter_asks_for_a_metric_that_there_is_by_its_label():
    (rule,) = load_one(DEPLOY / "kubernetes" / "monitoring" / "prometheus-adapter.yaml")["rules"]["external"]
    assert list_series()[rule["seriesQuery"]] == {"queue"}
    assert rule["metricsQuery"].endswith("by (queue)")


def read_sections() -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    name = ""
    for line in (DEPLOY / "load-balancer" / "haproxy.cfg").read_text("utf-8").splitlines():
        text = line.partition(" #")[0].rstrip() if not line.lstrip().startswith("#") else ""
        if text and not text.startswith(" "):
            name = text
            sections[name] = []
        elif text:
            sections[name].append(text.strip())
    return sections


def test_load_balancer_asks_each_server_whether_it_is_ready():
    sections = read_sections()
    assert set(sections) == {"global", "defaults", "frontend flowforge", "backend flowforge"}
    backend = sections["backend flowforge"]
    assert "option httpchk" in backend
    assert "http-check send meth GET uri /ready ver HTTP/1.1 hdr Host localhost" in backend
    assert "http-check expect status 200" in backend
    assert any(line.startswith("default-server check inter ") for line in backend)


def test_colours_are_told_apart_by_their_weight():
    servers = [line.split() for line in read_sections()["backend flowforge"] if line.startswith("server ")]
    assert {name.split("-")[0] for _, name, *_ in servers} == {"blue", "green"}
    assert all(("weight 0" in " ".join(words)) == words[1].startswith("green-") for words in servers)


def test_pages_of_the_inside_stay_inside():
    frontend = read_sections()["frontend flowforge"]
    assert "http-request deny deny_status 404 if { path /metrics /health /ready /live }" in frontend
    assert "default_backend flowforge" in frontend
