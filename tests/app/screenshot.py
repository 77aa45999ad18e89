"""Takes a picture of the explorer: `python -m tests.app.screenshot --store F --out P.png`.

`--page trial --query trial=ID` takes that of another page, or of what a link restores.
"""

import argparse
import base64
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.app import served

CHARTS = '[data-testid="stVegaLiteChart"] svg.marks'
_SETTLE_S = 3


def wait_for_charts(driver: webdriver.Chrome, timeout_s: float = 60) -> None:
    """Waits until charts are drawn and the page has stopped running."""
    WebDriverWait(driver, timeout_s).until(
        lambda seen: (
            seen.find_elements(By.CSS_SELECTOR, CHARTS)
            and not seen.find_elements(By.CSS_SELECTOR, '[data-testid="stStatusWidget"]')
        )
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be taken.

    Attributes:
        page: The page's path in the address; empty for the one that the explorer opens on.
        query: What follows `?` in the address.
        width: Of the window, in CSS pixels.
        height: Of the window.
        dark: Whether the reader prefers dark pages.
    """

    page: str
    query: str
    width: int
    height: int
    dark: bool


def take(store: Path, out: Path, wanted: Picture) -> None:
    """Writes a picture of a page."""
    width, height = wanted.width, wanted.height
    with (
        tempfile.TemporaryDirectory() as profile,
        served.explorer(store) as address,
        served.browser(Path(profile), width, height) as driver,
    ):
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "features": [
                    {"name": "prefers-color-scheme", "value": "dark" if wanted.dark else "light"}
                ]
            },
        )
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        driver.get(f"{address}/{wanted.page}?{wanted.query}")
        wait_for_charts(driver)
        time.sleep(_SETTLE_S)
        picture = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(base64.b64decode(picture["data"]))


def main() -> None:
    """Takes a picture as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.app.screenshot", description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--page", default="")
    parser.add_argument("--query", default="")
    parser.add_argument("--width", type=int, default=1300)
    parser.add_argument("--height", type=int, default=1000)
    parser.add_argument("--dark", action="store_true")
    chosen = parser.parse_args()
    if missing := served.missing_browser():
        parser.exit(1, f"{missing}\n")
    wanted = Picture(chosen.page, chosen.query, chosen.width, chosen.height, chosen.dark)
    take(chosen.store, chosen.out, wanted)


if __name__ == "__main__":
    main()
