"""One look at sixteen units at once, each in its own lane of a vector; written in LLVM's own terms.

A compiler does not find these vectors by itself: it would have to know that what is written never
overlaps with what is read.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from reportgen.probe.reduction import LANES

AHEAD = 32
"Positions that memory is asked for before they are needed: those of a unit do not lie together."

_INT, _WIDE, _BYTE = ir.IntType(32), ir.IntType(64), ir.IntType(8)
_INTS = ir.VectorType(_INT, LANES)
_BYTES = ir.VectorType(_BYTE, LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)


@intrinsic
def sweep(
    context: Any, values: Any, apart: Any, count: Any, scale: Any, codes: Any, ints: Any, sums: Any
) -> Any:
    """Looks at some positions, at least one, of sixteen units that lie side by side.

    Args:
        context: of the compiler.
        values: address of the first position's float32 values.
        apart: bytes from one position to the next.
        count: positions.
        scale: one over the width of a bin, a power of two.
        codes: gets the bin of every value, (count 16); without meaning where one does not fit.
        ints: gets (5 16) int32: keys of the lowest and the highest value (see `kernels`), the first
            position of the highest, how many are positive and how many zero.
        sums: gets (3 16) float64: of the differences from one of the unit's values, of their
            squares, and that value.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _generate(builder, *arguments)
        return context.get_dummy_value()

    address = types.voidptr
    return types.void(
        address, types.int64, types.int64, types.float64, address, address, address
    ), generate


def _generate(
    builder: Any, values: Any, apart: Any, count: Any, scale: Any, codes: Any, ints: Any, sums: Any
) -> None:
    def all_lanes(kind: Any, value: Any) -> Any:
        return ir.Constant(kind, [value] * LANES)

    def spread(kind: Any, value: Any) -> Any:
        undefined = ir.Constant(kind, ir.Undefined)
        one = builder.insert_element(undefined, value, ir.Constant(_INT, 0))
        return builder.shuffle_vector(one, undefined, all_lanes(_INTS, 0))

    def known(name: str, *kinds: Any) -> Any:
        *takes, gives = kinds
        return cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(gives, takes), f"llvm.{name}"
        )

    def at_position(number: Any) -> Any:
        return builder.gep(values, [builder.mul(number, apart)])

    def loaded(pointer: Any) -> Any:
        lanes = builder.load(builder.bitcast(pointer, _FLOATS.as_pointer()), align=4)
        # Zero loses its sign.
        return builder.fadd(lanes, all_lanes(_FLOATS, 0.0))

    def stored(lanes: Any, pointer: Any, offset: Any) -> None:
        place = builder.bitcast(builder.gep(pointer, [offset]), lanes.type.as_pointer())
        builder.store(lanes, place, align=1)

    shift = builder.fpext(loaded(values), _DOUBLES)
    scales = spread(_DOUBLES, scale)
    before = builder.block
    loop, end = builder.append_basic_block("positions"), builder.append_basic_block("seen")
    builder.branch(loop)

    builder.position_at_end(loop)
    position = builder.phi(_WIDE)
    low, high, place, positive, zeros = (builder.phi(_INTS) for _ in range(5))
    total, squares = builder.phi(_DOUBLES), builder.phi(_DOUBLES)
    pointer_kind = _BYTE.as_pointer()
    fetch = known("prefetch.p0i8", pointer_kind, _INT, _INT, _INT, ir.VoidType())
    later = builder.add(position, ir.Constant(_WIDE, AHEAD))
    # To be read, kept in all caches, as data. An address behind the end does no harm.
    hints = (ir.Constant(_INT, hint) for hint in (0, 3, 1))
    builder.call(fetch, [at_position(later), *hints])
    numbers = loaded(at_position(position))
    bits = builder.bitcast(numbers, _INTS)
    sign = builder.ashr(bits, all_lanes(_INTS, 31))
    key = builder.xor(bits, builder.and_(sign, all_lanes(_INTS, 0x7FFFFFFF)))
    is_above = builder.icmp_signed(">", key, high)
    is_positive = builder.icmp_signed(">", key, all_lanes(_INTS, 0))
    is_zero = builder.icmp_signed("==", key, all_lanes(_INTS, 0))
    precise = builder.fpext(numbers, _DOUBLES)
    floor = known("floor.v16f64", _DOUBLES, _DOUBLES)
    code = builder.fptosi(builder.call(floor, [builder.fmul(precise, scales)]), _INTS)
    # From -128..127 to 0..255.
    stored(
        builder.xor(builder.trunc(code, _BYTES), all_lanes(_BYTES, -128)),
        codes,
        builder.mul(position, ir.Constant(_WIDE, LANES)),
    )
    apart_from_shift = builder.fsub(precise, shift)
    fused = known("fma.v16f64", _DOUBLES, _DOUBLES, _DOUBLES, _DOUBLES)
    following = builder.add(position, ir.Constant(_WIDE, 1))
    changes = (
        (position, ir.Constant(_WIDE, 0), following),
        (
            low,
            all_lanes(_INTS, 0x7FFFFFFF),
            builder.select(builder.icmp_signed("<", key, low), key, low),
        ),
        (high, all_lanes(_INTS, -0x80000000), builder.select(is_above, key, high)),
        (
            place,
            all_lanes(_INTS, 0),
            builder.select(is_above, spread(_INTS, builder.trunc(position, _INT)), place),
        ),
        (positive, all_lanes(_INTS, 0), builder.add(positive, builder.zext(is_positive, _INTS))),
        (zeros, all_lanes(_INTS, 0), builder.add(zeros, builder.zext(is_zero, _INTS))),
        (total, all_lanes(_DOUBLES, 0.0), builder.fadd(total, apart_from_shift)),
        (
            squares,
            all_lanes(_DOUBLES, 0.0),
            builder.call(fused, [apart_from_shift, apart_from_shift, squares]),
        ),
    )
    for phi, first, after in changes:
        phi.add_incoming(first, before)
        phi.add_incoming(after, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, end)

    builder.position_at_end(end)
    found = [after for _, _, after in changes[1:]]
    for row, lanes in enumerate(found[:5]):
        stored(lanes, ints, ir.Constant(_WIDE, row * LANES * 4))
    for row, lanes in enumerate((*found[5:], shift)):
        stored(lanes, sums, ir.Constant(_WIDE, row * LANES * 8))
