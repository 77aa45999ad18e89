"""The page in a real browser that has no network."""

import json
import os
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from odllm_app.report.cli import main
from tests import stores, support
from tests.app import served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def chromium() -> None:
    """Skips where there is no browser, unless one is said to be there."""
    missing = served.missing_browser()
    if missing and os.environ.get("ODLLM_REQUIRE_BROWSER") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def fetched(driver: webdriver.Chrome, page: str) -> set[str]:
    """All that a page asked for, itself included."""
    log = driver.get_log("performance")  # type: ignore[no-untyped-call]
    events = [json.loads(entry["message"])["message"] for entry in log]
    asked = [each["params"] for each in events if each["method"] == "Network.requestWillBeSent"]
    return {each["request"]["url"] for each in asked if each["documentURL"] == page}


def test_it_opens_from_the_disk_and_draws_without_a_network(tmp_path: Path) -> None:
    types = ("F16", "Q8_0", "Q4_0")
    trials = [support.trial(support.model_file(quantization=name)) for name in types]
    kept = stores.measured(
        tmp_path / "odllm.duckdb", *(support.round_result(trial) for trial in trials)
    )
    out = tmp_path / "report.html"
    assert main(["--store", str(kept.path), "--out", str(out)]) == 0
    with served.browser(tmp_path / "profile") as driver:
        driver.set_network_conditions(
            offline=True, latency=0, download_throughput=0, upload_throughput=0
        )
        driver.get(out.as_uri())
        charts = driver.find_elements(By.CSS_SELECTOR, "figure svg")
        assert len(charts) == 4
        for chart in charts:
            points = chart.find_elements(By.CSS_SELECTOR, ".mark-symbol.role-mark path")
            assert len(points) == 3
            for point in points:
                assert point.size["width"] > 2
                assert point.size["height"] > 2
        assert driver.find_element(By.TAG_NAME, "h1").text == "sweep"
        assert fetched(driver, out.as_uri()) == {out.as_uri()}
        faults = driver.get_log("browser")  # type: ignore[no-untyped-call]
        assert [entry for entry in faults if entry["level"] == "SEVERE"] == []
