"""The pages in a real browser: they draw, they follow the store, they stay on this machine."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.ui import WebDriverWait

from odllm_app.pages import PAGES
from odllm_controller.analysis.queries import results
from odllm_controller.store import Store
from tests import family, stores, support
from tests.app import served
from tests.app.screenshot import CHARTS, wait_for_charts

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("explorer in a browser"),
]

# Charts of points have them in groups of symbols, others have bars.
MARKS = f"{CHARTS} .role-mark path"


@dataclass(frozen=True, slots=True)
class Shown:
    """An explorer that is served, and a browser.

    Attributes:
        driver: The browser.
        address: Where the explorer is.
        path: The store that it shows.
        downloads: The folder in which the browser puts files.
    """

    driver: webdriver.Chrome
    address: str
    path: Path
    downloads: Path

    def open(self, page: str) -> None:
        """Opens a page, and waits for its charts."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}/{page}")
        wait_for_charts(self.driver)

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def element(self, by: str, what: str) -> WebElement:
        """An element that can be clicked, once it is drawn: a page is put together bit by bit."""
        waiting = WebDriverWait(self.driver, family.PATIENCE_S)
        found: WebElement = waiting.until(element_to_be_clickable((by, what)))
        return found

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def wait_for(self, text: str) -> None:
        WebDriverWait(self.driver, family.PATIENCE_S).until(lambda _: text in self.text())

    def log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return found

    def hosts(self) -> set[str]:
        """Every host that was asked for something since this was called last."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        asked = {
            urlparse(event["params"]["request"]["url"])
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        }
        return {address.hostname or "" for address in asked if address.scheme.startswith("http")}


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    """Skips where there is no browser, unless one is said to be there."""
    missing = served.missing_browser()
    if missing and os.environ.get("ODLLM_REQUIRE_BROWSER") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="module")
def shown(
    chromium: None, showcase_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    """A copy of the showcase, which tests may add to."""
    folder = tmp_path_factory.mktemp("browser")
    path, downloads = folder / "odllm.duckdb", folder / "downloads"
    shutil.copy(showcase_path, path)
    with served.browser(folder / "profile") as driver, served.explorer(path) as address:
        driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
        )
        yield Shown(driver, address, path, downloads)


@pytest.mark.parametrize("page", [*(each.path for each in PAGES), ""])
def test_a_page_draws_and_asks_nobody_else(shown: Shown, page: str) -> None:
    shown.open(f"{page}?device=laptop")
    assert shown.count(MARKS) > 0
    assert shown.count('[data-testid="stException"]') == 0
    assert "Page not found" not in shown.text()
    assert shown.hosts() == {"127.0.0.1"}
    # Streamlit looks for its own server below the path of a page first.
    told = [entry["message"] for entry in shown.log("browser") if entry["level"] == "SEVERE"]
    assert not [message for message in told if "_stcore" not in message]


def test_a_choice_goes_into_the_address_and_along_to_other_pages(shown: Shown) -> None:
    shown.open("energy")
    shown.element(By.CSS_SELECTOR, ".st-key-model input").click()
    options = WebDriverWait(shown.driver, family.PATIENCE_S).until(
        lambda seen: [
            each
            for each in seen.find_elements(By.CSS_SELECTOR, '[role="option"]')
            if each.text == "qwen-3B"
        ]
    )
    options[0].click()
    WebDriverWait(shown.driver, family.PATIENCE_S).until(lambda seen: "model" in seen.current_url)
    assert parse_qs(urlparse(shown.driver.current_url).query) == {"model": ["qwen-3B"]}
    shown.element(By.LINK_TEXT, "Devices").click()
    shown.wait_for("What each device is")
    assert parse_qs(urlparse(shown.driver.current_url).query) == {"model": ["qwen-3B"]}
    assert "8 trials that both have" not in shown.text()
    assert "4 trials that both have" in shown.text()


def test_a_link_opens_one_trial(shown: Shown) -> None:
    found = results.load(shown.path)
    wanted = found[(found["device"] == "laptop") & (found["model"] == "qwen-3B")].iloc[-1]
    shown.open(f"trial?trial={wanted['trial_id']}&trace=round+1%2C+repeat+2")
    assert "Power in round 1, repeat 2" in shown.text()
    choice = shown.element(By.CSS_SELECTOR, '[data-testid="stSelectbox"] input')
    assert "qwen-3B Q2_K" in (choice.get_attribute("value") or "")


def test_a_download_holds_what_the_chart_shows(shown: Shown) -> None:
    shown.open("trade-offs?device=laptop")
    shown.element(By.CSS_SELECTOR, '[data-testid="stExpander"] summary').click()
    table = pd.read_csv(downloaded(shown, "decode-tok-s-1", "csv"))
    expected = results.measured(results.load(shown.path))
    expected = expected[expected["device"] == "laptop"]
    assert sorted(table["Decode speed (tok/s)"]) == pytest.approx(sorted(expected["decode_tok_s"]))
    drawn = downloaded(shown, "decode-tok-s-1", "svg").read_text()
    assert drawn.count('aria-roledescription="point"') == len(table)
    assert downloaded(shown, "decode-tok-s-1", "png").read_bytes().startswith(b"\x89PNG")


def downloaded(shown: Shown, figure: str, ending: str) -> Path:
    """The file that a figure's button gives."""
    button = WebDriverWait(shown.driver, family.PATIENCE_S).until(
        lambda seen: [
            each
            for each in seen.find_elements(By.CSS_SELECTOR, f".st-key-{figure}-{ending} button")
            if each.is_displayed()
        ]
    )[0]
    shown.driver.execute_script("arguments[0].click()", button)
    file = shown.downloads / f"odllm-{figure}.{ending}"
    end = time.monotonic() + family.PATIENCE_S
    while not file.exists():
        assert time.monotonic() < end, f"{file} was not downloaded"
        time.sleep(0.05)
    return file


def test_a_dark_page_has_light_charts(shown: Shown) -> None:
    emulate(shown, "dark")
    try:
        shown.open("trade-offs?device=laptop")
        background = shown.driver.find_element(
            By.CSS_SELECTOR, '[data-testid="stApp"]'
        ).value_of_css_property("background-color")
        label = shown.driver.find_element(By.CSS_SELECTOR, f"{CHARTS} .role-axis-label text")
        assert brightness(background) < 60
        assert brightness(label.value_of_css_property("fill")) > 120
    finally:
        emulate(shown, "light")


def emulate(shown: Shown, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def brightness(colour: str) -> float:
    """The mean of red, green and blue of a colour as CSS tells it, from 0 to 255."""
    parts = [float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    return sum(parts) / 3


def test_a_live_run_moves_by_itself(shown: Shown) -> None:
    shown.open("runs")
    shown.wait_for("48 of 50 are whole")
    store = Store.open(shown.path)
    failed = support.trial(support.model_file("qwen-7B", "Q4_0", 7_600_000_000))
    for index in range(2):
        again = replace(support.round_result(failed, index), started_at=stores.later(1))
        store.add_round("run-1", again)
        shown.wait_for(f"{49 + index} of 50 are whole")
    assert shown.count('[data-testid="stException"]') == 0
