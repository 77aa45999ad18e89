"""Takes the picture of the explorer: `python -m tests.app.screenshot --store F --out P.png`."""

import argparse
import base64
import tempfile
import time
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


def take(store: Path, out: Path, width: int, height: int, *, dark: bool = False) -> None:
    """Writes a picture of the page at twice the density of a plain screen."""
    with (
        tempfile.TemporaryDirectory() as profile,
        served.explorer(store) as address,
        served.browser(Path(profile), width, height) as driver,
    ):
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
        )
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1.5, "mobile": False},
        )
        driver.get(address)
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
    parser.add_argument("--width", type=int, default=1300)
    parser.add_argument("--height", type=int, default=1000)
    parser.add_argument("--dark", action="store_true")
    chosen = parser.parse_args()
    if missing := served.missing_browser():
        parser.exit(1, f"{missing}\n")
    take(chosen.store, chosen.out, chosen.width, chosen.height, dark=chosen.dark)


if __name__ == "__main__":
    main()
