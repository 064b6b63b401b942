"""deploy/: the proxy by nginx's own test, the units by systemd's, the manifests by Kubernetes' schemas."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

DEPLOY = Path(settings.BASE_DIR) / "deploy"
UNITS = sorted(DEPLOY.glob("systemd/*"))
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "airy.yaml").read_text()))


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    if not (nginx := shutil.which("nginx", path="/usr/sbin:/usr/bin")):
        pytest.skip("no nginx")
    site = (DEPLOY / "nginx" / "airy.conf.template").read_text().replace("${AIRY_UPSTREAM}", "127.0.0.1:8000")
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}} http {{ include {tmp_path}/site.conf; }}"
    )
    said = subprocess.run((nginx, "-t", "-q", "-c", tmp_path / "nginx.conf"), capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


def test_the_proxy_lets_through_what_airy_takes() -> None:
    site = (DEPLOY / "nginx" / "airy.conf.template").read_text()
    kilobytes = int(re.search(r"client_max_body_size (\d+)k;", site)[1])  # type: ignore[index]
    assert kilobytes * 1024 > settings.BODY_BYTES


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    program = shutil.which("true")
    for unit in UNITS:
        (tmp_path / unit.name).write_text(re.sub(r"/opt/airy/\.venv/bin/\w+", str(program), unit.read_text()))
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    said = subprocess.run(("systemd-analyze", "verify", *units), capture_output=True, text=True)
    complaints = [line for line in said.stderr.splitlines() if "airy" in line and "docs/operations.md" not in line]
    assert (said.returncode, complaints) == (0, []), said.stderr


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_kubernetes_takes_the_manifests(manifest: dict[str, Any]) -> None:
    schemas = pytest.importorskip(
        "kubernetes_validate", reason="pip install kubernetes-validate to check the manifests"
    )
    schemas.validate(manifest, "1.31", strict=True)


def test_commands_and_probes_are_the_same_everywhere() -> None:
    compose = yaml.safe_load((Path(settings.BASE_DIR) / "docker-compose.yml").read_text())["services"]
    worker = " ".join(compose["worker"]["command"])
    (of_kubernetes,) = [one for one in MANIFESTS if one["kind"] == "Deployment" and one["metadata"]["name"] == "worker"]
    (container,) = of_kubernetes["spec"]["template"]["spec"]["containers"]
    assert " ".join(container["command"]) == worker
    assert container["livenessProbe"]["exec"]["command"] == compose["worker"]["healthcheck"]["test"][1:]
    unit = (DEPLOY / "systemd" / "airy-worker.service").read_text()
    assert f"ExecStart=/opt/airy/.venv/bin/{worker}" in unit
