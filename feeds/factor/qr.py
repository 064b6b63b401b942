"""QR: an address as a picture that the camera of an app reads, drawn as SVG within the page."""

from __future__ import annotations


def drawn(address: str) -> str:
    """The `<svg>` element: black on white in either colour scheme, without styles or scripts."""
    import segno

    return segno.make_qr(address, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff")
