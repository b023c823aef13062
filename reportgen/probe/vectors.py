"""Vectors of sixteen lanes in LLVM's own terms: of what kinds, and what is done with all lanes."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from reportgen.probe.reduction import LANES

INT, WIDE, BYTE = ir.IntType(32), ir.IntType(64), ir.IntType(8)
INTS = ir.VectorType(INT, LANES)
WIDES = ir.VectorType(WIDE, LANES)
BYTES = ir.VectorType(BYTE, LANES)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
_SIZES = {BYTE: 1, INT: 4, WIDE: 8, FLOATS.element: 4, DOUBLES.element: 8}
"Bytes."


class Vectors:
    """Writes what is done with all sixteen lanes."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def all_lanes(self, kind: Any, value: Any) -> Any:
        """The same constant."""
        return ir.Constant(kind, [value] * LANES)

    def spread(self, kind: Any, value: Any) -> Any:
        """The same number, which is known only when the code runs."""
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(undefined, value, ir.Constant(INT, 0))
        return self.builder.shuffle_vector(one, undefined, self.all_lanes(INTS, 0))

    def known(self, name: str, *kinds: Any) -> Any:
        """A function of LLVM's own: what it takes, and last what it gives."""
        *takes, gives = kinds
        return cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(gives, takes), f"llvm.{name}"
        )

    def row(self, pointer: Any, kind: Any, number: int = 0) -> Any:
        """One row of an array (... 16)."""
        return self.builder.load(self._place(pointer, kind, number), align=1)

    def put(self, lanes: Any, pointer: Any, number: int = 0) -> None:
        """Writes one row of an array (... 16)."""
        self.builder.store(lanes, self._place(pointer, lanes.type, number), align=1)

    def moved(self, pointer: Any, rows: Any, kind: Any) -> Any:
        """The address of a row of an array (... 16) whose number is known only when code runs."""
        size = ir.Constant(WIDE, LANES * _SIZES[kind.element])
        return self.builder.gep(pointer, [self.builder.mul(rows, size)])

    def number_of(self, key: Any) -> Any:
        """The float32 numbers of keys, as `kernels.number_of`."""
        builder = self.builder
        sign = builder.ashr(key, self.all_lanes(INTS, 31))
        bits = builder.xor(key, builder.and_(sign, self.all_lanes(INTS, 0x7FFFFFFF)))
        return builder.bitcast(bits, FLOATS)

    def _place(self, pointer: Any, kind: Any, number: int) -> Any:
        size = LANES * _SIZES[kind.element]
        moved = self.builder.gep(pointer, [ir.Constant(WIDE, number * size)])
        return self.builder.bitcast(moved, kind.as_pointer())
