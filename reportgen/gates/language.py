"""The little language of `--fail-on`: NAME OP VALUE, such as `dead[features.*]>10%`."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from reportgen.errors import OptionError

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}

COMPARED = "compare:"
"In front of names that compare two reports."

# Only what stands in brackets may be outside text: the name of a layer, an image or a parameter.
_CONDITION = re.compile(
    rf"(?P<head>(?:{COMPARED})?[a-z]\w*(?:\.\w+)*)(?:\[(?P<which>.+)\](?P<tail>(?:\.\w+)*))?"
    rf"\s*(?P<operator>{'|'.join(OPERATORS)})"
    r"\s*(?P<value>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?)\s*(?P<percent>%?)",
    re.ASCII,
)


@dataclass(frozen=True)
class Condition:
    """One condition; a report for which it holds fails."""

    text: str
    "As it was given."
    name: str
    "What is looked at, without its glob: `dead`, `dead[]`, `layers[].std`."
    which: str
    "Glob over the names of layers, images or parameters; empty where the name has no brackets."
    operator: str
    value: float
    is_percent: bool

    def holds(self, value: float) -> bool:
        """Whether `value` is what must not be; so is every value that is not finite."""
        return not math.isfinite(value) or OPERATORS[self.operator](value, self.value)


def condition_in(text: str) -> Condition:
    """The condition that `text` states; whether there is such a name is not looked at.

    Raises:
        OptionError: if it is none.
    """
    text = text.strip()
    found = _CONDITION.fullmatch(text)
    if not found:
        raise OptionError(
            f'--fail-on "{text}" is no condition: write NAME OP VALUE, such as dead>5% or '
            f"accuracy<0.9, where OP is one of {' '.join(sorted(OPERATORS))}."
        )
    # In decimals, for 12.3 / 100 is not the float that 0.123 is.
    value = float(Decimal(found["value"]) / (100 if found["percent"] else 1))
    if not math.isfinite(value):
        raise OptionError(f'--fail-on "{text}": {found["value"]} is too large a number.')
    which = found["which"] or ""
    name = f"{found['head']}[]{found['tail']}" if which else found["head"]
    return Condition(text, name, which, found["operator"], value, bool(found["percent"]))
