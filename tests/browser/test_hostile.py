"""Names of layers, images and classes that are written to break out of the page that shows them."""

import dataclasses

import pytest

from reportgen.render.pages import pages
from reportgen.render.single import SingleFile
from tests.browser.payloads import ARMED, PAYLOADS
from tests.render.sample_report import HOSTILE, every_file, sample_report

pytestmark = pytest.mark.browser

WORST = HOSTILE + " ".join(PAYLOADS)


def hostile(made, known):
    """`made` with worse names wherever it holds a hostile one or one of `known`."""
    if isinstance(made, str):
        for name in (HOSTILE, *known):
            made = made.replace(name, name.replace(HOSTILE, "") + WORST)
        return made
    if isinstance(made, tuple):
        return tuple(hostile(one, known) for one in made)
    if isinstance(made, dict):
        return {key: hostile(one, known) for key, one in made.items()}
    if dataclasses.is_dataclass(made) and type(made).__name__ != "Pixels":
        fields = [field.name for field in dataclasses.fields(made) if field.init]
        return dataclasses.replace(
            made, **{name: hostile(getattr(made, name), known) for name in fields}
        )
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    report = sample_report()
    made = hostile(report, [image.path for image in report.images if HOSTILE not in image.path])
    assert all(WORST in image.path for image in made.images)
    single, folder = SingleFile(), tmp_path_factory.mktemp("hostile")
    for path, content in single.watching(iter(every_file(made, pages(made)).items())):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "single.html").write_bytes(single.content())
    return folder


@pytest.mark.parametrize("bypass", [True, False], ids=["no-policy", "policy"])
@pytest.mark.parametrize("prefix", ["", "single.html?"], ids=["site", "single-file"])
def test_no_name_becomes_an_element_or_runs(browser, root, prefix, bypass):
    """Even where the policy of the page, which would stop it, is switched off."""
    complaints = []
    context = browser.new_context(bypass_csp=bypass, offline=True)
    page = context.new_page()
    # A refusal of the policy is a message, too.
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    pictured = "images/chelsea.html", "layers/features.0.html"
    for path in ("index.html", "layers/index.html", "about.html", "dead_filters.html", *pictured):
        page.goto(f"file://{root}/{prefix}{path}")
        page.wait_for_function("document.querySelector('h1')")
        page.keyboard.press("/")
        page.keyboard.type("alert")
        page.wait_for_timeout(200)
        page.evaluate("document.querySelectorAll('dialog').forEach((one) => one.close())")
        if path in pictured:
            page.get_by_role("button", name="Look closer").first.click(timeout=5000)
            assert page.locator("#closer").is_visible()
        assert page.locator(ARMED).count() == 0
        assert WORST in page.evaluate("document.body.textContent")
    context.close()
    assert complaints == []
