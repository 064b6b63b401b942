"""Certificates: an authority of a test's own, and a certificate that it signed for 127.0.0.1 and localhost."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificates(NamedTuple):
    """Paths of PEM files: the authority's certificate; a server's certificate and its key."""

    authority: Path
    server: Path
    key: Path


def make_certificates(folder: Path, *, name: str = "localhost", address: str = "127.0.0.1") -> Certificates:
    """New ones, valid for a day."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority_key, request, extension = folder / "authority.key", folder / "server.csr", folder / "names"
    extension.write_text(f"subjectAltName=DNS:{name},IP:{address}\n")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for command in (
        ("req", "-x509", *new_key, "-keyout", authority_key, "-out", made.authority, "-days", "1", "-subj", "/CN=test"),
        ("req", *new_key, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}"),
        (
            *("x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial"),
            *("-out", made.server, "-days", "1", "-extfile", extension),
        ),
    ):
        subprocess.run(("openssl", *map(str, command)), check=True, capture_output=True)
    made.key.chmod(0o644)
    return made
