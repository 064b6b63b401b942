"""Client: what a session says of the browser that it is used in: enough to recognise one's own, and no more."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network

#: Parts of a User-Agent header and what they mean; the first that is found counts.
BROWSERS = (
    (r"Edg(e|A|iOS)?/", "Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"Firefox/|FxiOS/", "Firefox"),
    (r"Chrome/|CriOS/|Chromium/", "Chrome"),
    (r"Safari/", "Safari"),
)
SYSTEMS = (
    (r"iPhone|iPad|iPod", "iOS"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"Macintosh|Mac OS X", "macOS"),
    (r"CrOS", "ChromeOS"),
    (r"Linux|X11", "Linux"),
)
#: Bits of an address that are kept: those of a provider's or an organisation's network.
IPV4_BITS = 24
IPV6_BITS = 48


def browser_name(user_agent: str) -> str:
    """Browser and system, such as "Firefox, Linux"; empty for others. The header itself is not kept."""
    found = [next((name for part, name in names if re.search(part, user_agent)), "") for names in (BROWSERS, SYSTEMS)]
    return ", ".join(filter(None, found))


def network_of(address: str) -> str:
    """The network that an IP address is in, such as 192.0.2.0/24; empty if it is no IP address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    bits = IPV4_BITS if ip.version == 4 else IPV6_BITS
    return str(ip_network(f"{ip}/{bits}", strict=False))
