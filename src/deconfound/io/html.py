"""Pages: HTML with its own scripts and data. No name from a file can become markup or a script in them.

All text is escaped, all data are JSON without markup, and a content security policy runs only scripts whose SHA-256 the
page names. Charts need no `eval`: Vega's expressions are interpreted.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import math
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from deconfound.io.files import json_text
from deconfound.io.plain_text import plain_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# Styles need no hash: Vega-Embed and its tooltips add style elements of their own, and the chart's own sizes are style
# attributes. A style can run nothing, and `default-src` keeps it from loading anything; text of a file never becomes one.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src "
)


def plain_values(value: Any) -> Any:
    """JSON values whose texts are `plain_text`; NaN and infinity are None."""
    if isinstance(value, dict):
        return {plain_values(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, str):
        return plain_text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_block(name: str, value: Any) -> Markup:
    """A script element with the id `name` that holds the `plain_values` of JSON for the page's scripts."""
    from markupsafe import Markup

    text = Markup(json_text(plain_values(value), sort_keys=True))
    return Markup('<script type="application/json" id="{}">{}</script>').format(name, text)


def page_environment(package: str) -> Environment:
    """Templates of a package, in which every text is plain and escaped, and `json_block` is known.

    A parser of HTML changes control characters, so that the page's scripts would not find a name again.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        finalize=_plain_name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["json_block"] = json_block
    return environment


def _plain_name(value: Any) -> Any:
    """What a template writes: a text as `plain_text`, all else, HTML of our own too, as it is."""
    return plain_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def page_text(title: str, body: str, *, style: str, script: str) -> str:
    """A page that loads nothing from anywhere, holds Vega, and runs `script` alone.

    Args:
        title: text.
        body: HTML of a template of `page_environment`.
        style: CSS of the project's own.
        script: JavaScript of the project's own; it may call `loadVega()`, which sets `vegaEmbed`.
    """
    from markupsafe import Markup

    own = f'(() => {{\n"use strict";\n{template_text("deconfound.io", "vega.js")}\n{script}}})();'
    assert "</script" not in own.lower()
    return (
        page_environment("deconfound.io")
        .get_template("page.html")
        .render(
            title=title,
            body=Markup(body),
            policy=_POLICY + " ".join(_digest(text) for text in (_vega(), own)),
            style=Markup(style),
            vega=base64.b64encode(gzip.compress(_vega().encode(), mtime=0)).decode(),
            script=Markup(own),
        )
    )


def template_text(package: str, name: str) -> str:
    """A file in the templates of a package."""
    return (files(package) / "templates" / name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega-Embed, Vega-Lite and Vega as one script that sets `vegaEmbed`."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    assert "</script" not in bundle.lower()
    assert "<!--" not in bundle
    return bundle


def _digest(script: str) -> str:
    """The content security policy's source expression for one inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
