"""The page in a real browser: it draws, it follows the store, it stays on this machine."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from odllm_controller.store import Store
from tests import stores, support
from tests.app import served
from tests.app.screenshot import CHARTS, wait_for_charts

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

POINTS = f"{CHARTS} .mark-symbol.role-mark path"
PATIENCE_S = 60
# Two of speed, two of latency, seven of memory: what the store has figures of.
N_CHARTS = 11


@pytest.fixture(autouse=True)
def chromium() -> None:
    """Skips where there is no browser, unless one is said to be there."""
    missing = served.missing_browser()
    if missing and os.environ.get("ODLLM_REQUIRE_BROWSER") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    types = ("F16", "Q8_0", "Q4_0")
    trials = [support.trial(support.model_file(quantization=name)) for name in types]
    return stores.measured(
        tmp_path / "odllm.duckdb", *(support.round_result(trial) for trial in trials)
    )


def count(driver: webdriver.Chrome, selector: str) -> int:
    return len(driver.find_elements(By.CSS_SELECTOR, selector))


def wait_for_points(driver: webdriver.Chrome, wanted: int) -> None:
    WebDriverWait(driver, PATIENCE_S).until(lambda seen: count(seen, POINTS) == wanted)


def log(driver: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return found


def pick(driver: webdriver.Chrome, key: str, value: str) -> None:
    """Chooses a value of a filter, as a reader would."""
    driver.find_element(By.CSS_SELECTOR, f".st-key-{key} input").click()
    options = WebDriverWait(driver, PATIENCE_S).until(
        lambda seen: [
            each
            for each in seen.find_elements(By.CSS_SELECTOR, '[role="option"]')
            if each.text == value
        ]
    )
    options[0].click()


def hosts(driver: webdriver.Chrome) -> set[str]:
    """Every host that the page asked for something."""
    events = [json.loads(entry["message"])["message"] for entry in log(driver, "performance")]
    addresses = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    asked = {urlparse(address) for address in addresses}
    return {address.hostname or "" for address in asked if address.scheme in {"http", "https"}}


def test_the_page_draws_and_follows_the_store(store: Store, tmp_path: Path) -> None:
    with (
        served.browser(tmp_path / "profile") as driver,
        served.explorer(store.path) as address,
    ):
        driver.get(address)
        wait_for_charts(driver)
        wait_for_points(driver, 3 * N_CHARTS)
        assert count(driver, CHARTS) == N_CHARTS

        more = support.trial(support.model_file(quantization="Q2_K"))
        store.add_round("run-1", support.round_result(more))
        wait_for_points(driver, 4 * N_CHARTS)
        assert "4 trials" in driver.find_element(By.TAG_NAME, "body").text

        assert count(driver, '[data-testid="stException"]') == 0
        assert hosts(driver) == {"127.0.0.1"}
        assert not [entry for entry in log(driver, "browser") if entry["level"] == "SEVERE"]


def test_a_choice_goes_into_the_address_and_comes_back_from_it(
    store: Store, tmp_path: Path
) -> None:
    other = support.trial(support.model_file("reference-6M"))
    store.add_round("run-1", support.round_result(other))
    with (
        served.browser(tmp_path / "profile") as driver,
        served.explorer(store.path) as address,
    ):
        driver.get(address)
        wait_for_points(driver, 4 * N_CHARTS)
        pick(driver, "model", "reference-6M")
        wait_for_points(driver, N_CHARTS)
        link = driver.current_url
        assert parse_qs(urlparse(link).query) == {"model": ["reference-6M"]}

        driver.get(address)
        wait_for_points(driver, 4 * N_CHARTS)
        driver.get(link)
        wait_for_points(driver, N_CHARTS)
