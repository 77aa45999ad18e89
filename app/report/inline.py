"""A chart inside an HTML page: a picture without a script and without a name from outside."""

import re

from markupsafe import Markup

from odllm_app.drawing.picture import Chart, picture

# Inside HTML an SVG needs no namespaces, and nobody shall take them for addresses.
_NAMESPACES = re.compile(r' xmlns(?::\w+)?="[^"]*"')
_NAME = re.compile(r'((?: id="|url\(#))')


def inline(chart: Chart, place: int) -> Markup:
    """A chart as SVG that shares a page with others.

    Args:
        chart: What is drawn; all its text is escaped by the renderer.
        place: Its place on the page, which keeps the names in it apart from those of others.
    """
    drawn = picture(chart, "svg").decode()
    start, end, rest = drawn.partition(">")
    named = _NAME.sub(rf"\g<1>chart-{place}-", rest)
    return Markup(_NAMESPACES.sub("", start) + end + named)  # noqa: S704 - by our own renderer
