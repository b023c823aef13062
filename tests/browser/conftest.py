import os
import shutil

import pytest

from reportgen.render.pages import pages
from tests.render.sample_report import every_file, sample_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def until(page, condition):
    """Waits for a condition; the pages' policy forbids what Playwright would do for that."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The sample site on disk."""
    root = tmp_path_factory.mktemp("site")
    report = sample_report()
    for path, content in every_file(report, pages(report)).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM and not os.environ.get("CI"):
        pytest.skip(f"no {' or '.join(NAMES)} here: the pages were not opened in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, folder):
    """Opens a page of the site and fails on any complaint or request to elsewhere."""
    contexts, complaints = [], []

    def opened(path, *, site=folder, width=1280, scheme="light", scripts=True, touch=False):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            offline=True,
            java_script_enabled=scripts,
            has_touch=touch,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{path}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{path}: {error}"))
        page.on("requestfailed", lambda request: failed(path, request))
        page.on("request", lambda request: outside(site, path, request.url))
        page.goto(f"file://{site}/{path}")
        return page

    def failed(path, request):
        # Turning the page stops what the last one was still loading.
        if "ERR_ABORTED" not in (request.failure or ""):
            complaints.append(f"{path}: {request.url} {request.failure}")

    def outside(site, path, url):
        if not url.startswith((f"file://{site}/", "data:")):
            complaints.append(f"{path}: asks for {url}")

    yield opened
    for context in contexts:
        context.close()
    assert not complaints
