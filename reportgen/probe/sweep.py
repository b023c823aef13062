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
_WIDES = ir.VectorType(_WIDE, LANES)
_BYTES = ir.VectorType(_BYTE, LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
_SIZES = {_BYTE: 1, _INT: 4, _WIDE: 8, _FLOATS.element: 4, _DOUBLES.element: 8}
"Bytes."


@intrinsic
def sweep(
    context: Any,
    values: Any,
    apart: Any,
    count: Any,
    scale: Any,
    bounds: Any,
    codes: Any,
    ints: Any,
    sums: Any,
) -> Any:
    """Looks at some positions, at least one, of sixteen units that lie side by side.

    Args:
        context: of the compiler.
        values: address of the first position's float32 values.
        apart: bytes from one position to the next.
        count: positions.
        scale: one over the width of a bin, a power of two.
        bounds: of two int32: the lowest key that is foreseen, and the first that is too high.
        codes: gets the bin of every value, (count 16); without meaning where one does not fit.
        ints: gets (5 16) int32: keys of the lowest and the highest value (see `kernels`), the first
            position of the highest, how many are positive and how many zero.
        sums: gets (3 16) float64: of the differences from one of the unit's values, of their
            squares, and that value.

    Returns:
        Whether all values lie within the bounds.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _swept(_Vectors(builder), *arguments)

    address = types.voidptr
    return types.boolean(
        address,
        types.int64,
        types.int64,
        types.float64,
        types.UniTuple(types.int32, 2),
        address,
        address,
        address,
    ), generate


@intrinsic
def absorb(
    context: Any, ints: Any, sums: Any, count: Any, start: Any, columns: Any, top: Any, place: Any
) -> Any:
    """Adds what `sweep` found of finite values to what is known of the sixteen units.

    Args:
        context: of the compiler.
        ints: as `sweep` leaves them.
        sums: the same.
        count: positions.
        start: the first of them in the image.
        columns: (10 16) float64, as `reduction.Part` describes them, but for the mean: less the
            last row, which is any value of the unit, so that a spread far below the mean is not
            lost.
        top: highest value in the image, (16,) float32.
        place: its first position, (16,) int64.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _absorbed(_Vectors(builder), *arguments)
        return context.get_dummy_value()

    address = types.voidptr
    return types.void(
        address, address, types.int64, types.int64, address, address, address
    ), generate


class _Vectors:
    """Writes what is done with all sixteen lanes."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def all_lanes(self, kind: Any, value: Any) -> Any:
        """The same constant."""
        return ir.Constant(kind, [value] * LANES)

    def spread(self, kind: Any, value: Any) -> Any:
        """The same number, which is known only when the code runs."""
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(undefined, value, ir.Constant(_INT, 0))
        return self.builder.shuffle_vector(one, undefined, self.all_lanes(_INTS, 0))

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

    def number_of(self, key: Any) -> Any:
        """The numbers of keys, as `kernels.number_of`."""
        builder = self.builder
        sign = builder.ashr(key, self.all_lanes(_INTS, 31))
        bits = builder.xor(key, builder.and_(sign, self.all_lanes(_INTS, 0x7FFFFFFF)))
        numbers = builder.fpext(builder.bitcast(bits, _FLOATS), _DOUBLES)
        return builder.fadd(numbers, self.all_lanes(_DOUBLES, 0.0))

    def _place(self, pointer: Any, kind: Any, number: int) -> Any:
        size = LANES * _SIZES[kind.element]
        moved = self.builder.gep(pointer, [ir.Constant(_WIDE, number * size)])
        return self.builder.bitcast(moved, kind.as_pointer())


def _swept(
    vectors: _Vectors,
    values: Any,
    apart: Any,
    count: Any,
    scale: Any,
    bounds: Any,
    codes: Any,
    ints: Any,
    sums: Any,
) -> Any:
    builder, all_lanes, known = vectors.builder, vectors.all_lanes, vectors.known

    def at_position(number: Any) -> Any:
        return builder.gep(values, [builder.mul(number, apart)])

    def loaded(pointer: Any) -> Any:
        lanes = builder.load(builder.bitcast(pointer, _FLOATS.as_pointer()), align=4)
        # Zero loses its sign.
        return builder.fadd(lanes, all_lanes(_FLOATS, 0.0))

    shift = builder.fpext(loaded(values), _DOUBLES)
    scales = vectors.spread(_DOUBLES, scale)
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
    small = builder.xor(builder.trunc(code, _BYTES), all_lanes(_BYTES, -128))
    codes_here = builder.gep(codes, [builder.mul(position, ir.Constant(_WIDE, LANES))])
    vectors.put(small, codes_here)
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
            builder.select(is_above, vectors.spread(_INTS, builder.trunc(position, _INT)), place),
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
        vectors.put(lanes, ints, row)
    for row, lanes in enumerate((*found[5:], shift)):
        vectors.put(lanes, sums, row)
    least, most = (vectors.spread(_INTS, builder.extract_value(bounds, i)) for i in (0, 1))
    is_low = builder.icmp_signed("<", found[0], least)
    is_high = builder.icmp_signed(">=", found[1], most)
    outside = builder.bitcast(builder.or_(is_low, is_high), ir.IntType(LANES))
    return builder.icmp_signed("==", outside, ir.Constant(ir.IntType(LANES), 0))


def _absorbed(
    vectors: _Vectors,
    ints: Any,
    sums: Any,
    count: Any,
    start: Any,
    columns: Any,
    top: Any,
    place: Any,
) -> None:
    builder, row, put = vectors.builder, vectors.row, vectors.put
    minimum, maximum, mean, squares, known, positive, zeros = (
        row(columns, _DOUBLES, number) for number in range(7)
    )
    nothing = vectors.all_lanes(_DOUBLES, 0.0)
    low, high = (vectors.number_of(row(ints, _INTS, number)) for number in (0, 1))
    highest = row(top, _FLOATS)
    is_above = builder.fcmp_ordered(">", high, builder.fpext(highest, _DOUBLES))
    place_here = builder.add(
        builder.sext(row(ints, _INTS, 2), _WIDES), vectors.spread(_WIDES, start)
    )
    put(builder.select(is_above, builder.fptrunc(high, _FLOATS), highest), top)
    put(builder.select(is_above, place_here, row(place, _WIDES)), place)
    put(builder.select(builder.fcmp_ordered("<", low, minimum), low, minimum), columns, 0)
    put(builder.select(builder.fcmp_ordered(">", high, maximum), high, maximum), columns, 1)
    for number, counts in ((5, positive), (6, zeros)):
        more = builder.sitofp(row(ints, _INTS, number - 2), _DOUBLES)
        put(builder.fadd(counts, more), columns, number)
    added = vectors.spread(_DOUBLES, builder.sitofp(count, _DOUBLES.element))
    total, shift = row(sums, _DOUBLES, 0), row(sums, _DOUBLES, 2)
    # Nothing is lost: the shift is one of the values, so that what is taken away is at most `count`
    # times what is left.
    spread = builder.fsub(row(sums, _DOUBLES, 1), builder.fdiv(builder.fmul(total, total), added))
    spread = builder.select(builder.fcmp_ordered(">", spread, nothing), spread, nothing)
    is_first = builder.fcmp_ordered("==", known, nothing)
    origin = builder.select(is_first, shift, row(columns, _DOUBLES, 9))
    put(origin, columns, 9)
    # As `kernels.merged`.
    all_of_it = builder.fadd(known, added)
    share = builder.fdiv(added, all_of_it)
    its_mean = builder.fadd(builder.fsub(shift, origin), builder.fdiv(total, added))
    apart = builder.fsub(its_mean, mean)
    between = builder.fmul(builder.fmul(builder.fmul(apart, apart), known), share)
    put(builder.fadd(mean, builder.fmul(apart, share)), columns, 2)
    put(builder.fadd(builder.fadd(squares, spread), between), columns, 3)
    put(all_of_it, columns, 4)
