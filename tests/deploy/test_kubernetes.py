"""deploy/kubernetes, by Kubernetes' own schemas and by the rules that a cluster is run by."""

import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.deploy.reading import DEPLOY, list_containers, list_manifests, list_pods, load_one

from flowforge.kit.units import parse_duration

FOLDER = DEPLOY / "kubernetes"
FOREIGN = {"ServiceMonitor"}
"""Kinds of others, for which Kubernetes has no schema."""
MANIFESTS = [pytest.param(document, id=f"{path.name}:{document['kind']}") for path, document in list_manifests()]
PODS = [pytest.param(pod, id=place) for place, pod in list_pods()]
ROLES = [pytest.param(pod, id=place) for place, pod in list_pods() if not place.startswith("migrate")]


def find_all(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for _, document in list_manifests() if document["kind"] == kind}


@pytest.mark.parametrize("document", MANIFESTS)
def test_manifest_fits_the_schema(document: dict[str, Any]):
    assert "namespace" not in document["metadata"]
    if document["kind"] not in FOREIGN:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_manifest_with_a_mistake_does_not_fit():
    broken = yaml.safe_load((FOLDER / "scheduler.yaml").read_text("utf-8"))
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 75
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("pod", PODS)
def test_pod_has_no_more_rights_than_it_needs(pod: dict[str, Any]):
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["runAsGroup"]) == (True, 10001, 10001)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] in find_all("ServiceAccount")
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for container in list_containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("pod", PODS)
def test_pod_is_bounded_and_writes_into_its_own_folders_only(pod: dict[str, Any]):
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert all("sizeLimit" in volume["emptyDir"] for volume in volumes.values())
    for container in list_containers(pod):
        assert set(container["resources"]["limits"]) == set(container["resources"]["requests"]) == {"cpu", "memory"}
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts) == {"/var/lib/flowforge", "/tmp"}
        assert set(mounts.values()) == set(volumes)


@pytest.mark.parametrize("pod", PODS)
def test_settings_and_secrets_are_those_that_are_there(pod: dict[str, Any]):
    example = load_one(FOLDER / "secret.example.yaml")
    for container in list_containers(pod):
        assert container["envFrom"] == [
            {"configMapRef": {"name": "flowforge-settings"}},
            {"secretRef": {"name": example["metadata"]["name"]}},
        ]
    assert set(find_all("ConfigMap")) == {"flowforge-settings"}
    assert set(example["stringData"].values()) == {""}
    assert not set(example["stringData"]) & set(find_all("ConfigMap")["flowforge-settings"]["data"])


@pytest.mark.parametrize("pod", ROLES)
def test_role_is_probed_at_pages_that_it_has(pod: dict[str, Any]):
    (container,) = pod["containers"]
    port = int(find_all("ConfigMap")["flowforge-settings"]["data"]["FLOWFORGE_HEALTH_PORT"])
    assert container["ports"] == [{"name": "health", "containerPort": port}]
    pages = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert pages == {
        "startup": {"path": "/live", "port": "health"},
        "liveness": {"path": "/live", "port": "health"},
        "readiness": {"path": "/ready", "port": "health"},
    }


@pytest.mark.parametrize("pod", ROLES)
def test_role_gets_time_to_hand_its_runs_back(pod: dict[str, Any]):
    grace = find_all("ConfigMap")["flowforge-settings"]["data"]["FLOWFORGE_SHUTDOWN_GRACE"]
    assert pod["terminationGracePeriodSeconds"] * 1_000 > parse_duration(grace) + 10_000


def test_roles_are_there_and_the_scheduler_twice():
    deployments = find_all("Deployment")
    assert set(deployments) == {"flowforge-server", "flowforge-worker", "flowforge-worker-heavy", "flowforge-scheduler"}
    assert all(deployments[f"flowforge-{name}"]["spec"]["replicas"] == 2 for name in ("scheduler", "server"))


def test_selectors_match_what_they_are_meant_for():
    deployments = find_all("Deployment")
    for name, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert find_all("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
    selected = [
        deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for deployment in deployments.values()
    ]
    assert len(set(selected)) == len(selected)
    shared = {"app.kubernetes.io/name": "flowforge"}
    service, (policy,) = find_all("Service")["flowforge-health"], find_all("NetworkPolicy").values()
    assert service["spec"]["selector"] == policy["spec"]["podSelector"]["matchLabels"] == shared
    assert find_all("ServiceMonitor")["flowforge"]["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]


def test_people_reach_the_server_by_tls_under_its_public_url():
    (ingress,), service = find_all("Ingress").values(), find_all("Service")["flowforge-server"]
    pod = find_all("Deployment")["flowforge-server"]["spec"]["template"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    (port,), (container,) = service["spec"]["ports"], pod["spec"]["containers"]
    assert container["args"] == ["serve", "--port", str(container["ports"][0]["containerPort"])]
    assert port["targetPort"] == container["ports"][0]["name"]
    (rule,), (tls,) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": port["name"]}}
    settings, secrets = (
        find_all("ConfigMap")["flowforge-settings"]["data"],
        load_one(FOLDER / "secret.example.yaml")["stringData"],
    )
    assert settings["FLOWFORGE_PUBLIC_URL"] == f"https://{rule['host']}"
    assert tls["hosts"] == [rule["host"]]
    assert {"FLOWFORGE_DATABASE_URL", "FLOWFORGE_ENCRYPTION_KEY", "FLOWFORGE_SIGNING_KEY"} <= set(secrets)


def test_autoscalers_have_their_deployments_their_metric_and_no_rival():
    deployments = find_all("Deployment")
    for name, scaler in find_all("HorizontalPodAutoscaler").items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployments[name]["spec"], "an apply would set the number back"
        (metric,) = [entry["external"]["metric"] for entry in scaler["spec"]["metrics"] if entry["type"] == "External"]
        queue = metric["selector"]["matchLabels"]["queue"]
        assert queue in deployments[name]["spec"]["template"]["spec"]["containers"][0]["args"][2].split(",")
        rules = load_one(FOLDER / "monitoring" / "prometheus-adapter.yaml")["rules"]["external"]
        assert metric["name"] in {rule["name"]["as"] for rule in rules}


def test_monitor_sends_the_token_that_the_secret_has():
    (endpoint,) = find_all("ServiceMonitor")["flowforge"]["spec"]["endpoints"]
    service = find_all("Service")["flowforge-health"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    credentials = endpoint["authorization"]["credentials"]
    example = load_one(FOLDER / "secret.example.yaml")
    assert credentials["name"] == example["metadata"]["name"]
    assert credentials["key"] in example["stringData"]


def test_kustomization_lists_every_manifest_but_those_that_are_applied_by_themselves():
    listed = set(load_one(FOLDER / "kustomization.yaml")["resources"])
    there = {path.name for path in FOLDER.glob("*.yaml")}
    assert there - listed == {"kustomization.yaml", "secret.example.yaml", "ingress.example.yaml", "migrate.yaml"}
    assert listed <= there


def test_images_are_of_one_version():
    (image,) = load_one(FOLDER / "kustomization.yaml")["images"]
    names = {container["image"] for place, pod in list_pods() for container in list_containers(pod) if "migrate" not in place}
    assert names == {image["name"]}
    (migrate,) = [container["image"] for place, pod in list_pods() if "migrate" in place for container in list_containers(pod)]
    assert migrate == f"{image['newName']}:{image['newTag']}"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
@pytest.mark.parametrize("folder", ["", "monitoring"])
def test_kustomization_is_built(folder: str):
    command = ["kubectl", "kustomize", str(FOLDER / folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)
    assert done.returncode == 0, done.stderr
    assert list(yaml.safe_load_all(done.stdout))
