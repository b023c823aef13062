"""Sends what a report holds to a logging service; each service is one module, imported when asked.

They work from the report's record alone, under names that stay the same from version to version
(docs/python.md lists them).
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from reportgen.errors import OptionError
from reportgen.options import SERVICES
from reportgen.report.records import Report


def check_services(services: Sequence[str]) -> None:
    """Refuse services that there are not, before anything is done.

    Raises:
        OptionError: if there is no such service, or its package is not installed.
    """
    for service in services:
        if service not in SERVICES:
            near = get_close_matches(service, SERVICES, 1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SERVICES)}."
            raise OptionError(f"--log {service}: there is no such service; {hint}")
        spec = find_spec(service)
        # A folder that the service left here would pass for a package without files of its own.
        if spec is None or spec.origin is None:
            raise OptionError(
                f"--log {service} needs the package {service}: "
                f"pip install 'torch-reportgen[{service}]'."
            )


def log_report(
    report: Report, services: Sequence[str], name: str, *, step: int | None = None
) -> None:
    """Log a report.

    Args:
        report: what is logged.
        services: where to.
        name: of the run.
        step: of the training, after which more may follow; None where the report stands alone.

    Raises:
        OptionError: if there is no such service, or it cannot be used.
        OutputError: if nothing can be written.
    """
    check_services(services)
    for service in dict.fromkeys(services):
        import_module(f"reportgen.loggers.{service}").log(report, name, step)
