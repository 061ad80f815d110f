"""Pages from templates. All that is put into them is escaped, and no script may run but genlab's own."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, script: str, **values: Any) -> str:
    """A page. script: the file beside the templates that its readers' browsers run."""
    return _environment().get_template(template).render(script=script, **values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("genlab.gallery"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["policy"] = _policy
    return made


def _policy(script: str) -> str:
    """What a browser lets the page do: run this script, show pictures that lie beside it, nothing else."""
    source = _environment().get_template(script).render()
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src 'self' file: data:"
    )
