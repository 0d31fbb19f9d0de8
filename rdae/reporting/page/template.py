"""Pages of one file: style, script and pictures are in it, and its content security policy forbids all else.

The policy names the script by its hash, so that no text from a file's name or a result could run as one either.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources

from rdae.storage.files import encoded


def read(name: str, package: str = "rdae.reporting.page") -> str:
    """A part of a page: a template, a style or a script that lies beside the modules of a package."""
    return (resources.files(package) / name).read_text(encoding="utf-8")


def filled(template: str, fields: Mapping[str, str], *, style: str, script: str) -> bytes:
    """A template with {{names}} of fields, among them `policy`, `style` and `script`, as a file's bytes.

    What fields hold must be safe where it comes to stand: escaped, or made by `json_text`.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    every = {**fields, "policy": policy, "style": style, "script": script}
    # In one pass: what is put in is not looked at again.
    return encoded(re.sub(r"\{\{(\w+)\}\}", lambda found: every[found[1]], template))


def json_text(data: object) -> str:
    """JSON that cannot end the element it stands in, whatever its strings hold."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
