import pytest

from reportgen.render.pages import pages
from tests.render.sample_report import every_file, sample_report


@pytest.fixture(scope="session")
def report():
    return sample_report()


@pytest.fixture(scope="session")
def site(report):
    """Path to content of every file of the sample site."""
    return every_file(report, pages(report))


@pytest.fixture(scope="session")
def html(site):
    """Path to text of every page of the sample site."""
    return {path: content.decode() for path, content in site.items() if path.endswith(".html")}
