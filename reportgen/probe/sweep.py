"""One look at sixteen units at once, each in its own lane of a vector; written in LLVM's own terms.

A compiler does not find these vectors by itself: it would have to know that what is written never
overlaps with what is read.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reportgen.probe.reduction import INFINITE, LANES
from reportgen.probe.vectors import BYTE, BYTES, DOUBLES, FLOATS, INT, INTS, WIDE, WIDES, Vectors

AHEAD = 32
"Positions that memory is asked for before they are needed: those of a unit do not lie together."


@intrinsic
def sweep(
    context: Any,
    values: Any,
    apart: Any,
    sizes: Any,
    scale: Any,
    bounds: Any,
    found: Any,
    tops: Any,
) -> Any:
    """Looks at some positions of some images, at least one each, of sixteen units side by side.

    Args:
        context: of the compiler.
        values: address of the first position's float32 values.
        apart: bytes from one position to the next, and from the last of an image to the first of
            the next image.
        sizes: three int64: images, positions of each, and the number of the first position.
        scale: one over the width of a bin, a power of two.
        bounds: of two int32: the lowest key that is foreseen, and the first that is too high.
        found: three addresses. The first gets the bin of every value, (images positions 16),
            without meaning where one does not fit; the second (4 16) int32: keys of the lowest and
            the highest value (see `kernels`), how many are positive and how many zero; the third
            (3 16) float64: sums of the differences from one of the unit's values, of their squares,
            and that value.
        tops: two addresses: of the highest value in each image so far, (images 16) float32, and of
            its first position, (images 16) int64. They are raised where the values here are finite,
            and to look at the same values again changes nothing.

    Returns:
        Whether all values lie within the bounds.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _swept(Vectors(builder), *arguments)

    address = types.voidptr
    return types.boolean(
        address,
        types.int64,
        types.UniTuple(types.int64, 3),
        types.float64,
        types.UniTuple(types.int32, 2),
        types.UniTuple(address, 3),
        types.UniTuple(address, 2),
    ), generate


@intrinsic
def absorb(context: Any, ints: Any, sums: Any, count: Any, columns: Any) -> Any:
    """Adds what `sweep` found of finite values to what is known of the sixteen units.

    Args:
        context: of the compiler.
        ints: as `sweep` leaves them.
        sums: the same.
        count: positions in all images.
        columns: (10 16) float64, as `reduction.Part` describes them, but for the mean: less the
            last row, which is any value of the unit, so that a spread far below the mean is not
            lost.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _absorbed(Vectors(builder), *arguments)
        return context.get_dummy_value()

    address = types.voidptr
    return types.void(address, address, types.int64, address), generate


def _swept(
    vectors: Vectors,
    values: Any,
    apart: Any,
    sizes: Any,
    scale: Any,
    bounds: Any,
    found: Any,
    tops: Any,
) -> Any:
    builder, all_lanes, known = vectors.builder, vectors.all_lanes, vectors.known
    images, count, start = (builder.extract_value(sizes, i) for i in range(3))
    codes, ints, sums = (builder.extract_value(found, i) for i in range(3))
    nothing, lowest = all_lanes(INTS, 0), all_lanes(INTS, -0x80000000)

    def at_position(number: Any) -> Any:
        return builder.gep(values, [builder.mul(number, apart)])

    def loaded(pointer: Any) -> Any:
        lanes = builder.load(builder.bitcast(pointer, FLOATS.as_pointer()), align=4)
        # Zero loses its sign.
        return builder.fadd(lanes, all_lanes(FLOATS, 0.0))

    shift = builder.fpext(loaded(values), DOUBLES)
    scales = vectors.spread(DOUBLES, scale)
    before = builder.block
    outer, inner, last, end = (
        builder.append_basic_block(name) for name in ("image", "position", "seen", "end")
    )
    builder.branch(outer)

    builder.position_at_end(outer)
    image = builder.phi(WIDE)
    high_before = builder.phi(INTS)
    sums_before = [builder.phi(INTS) for _ in range(3)] + [builder.phi(DOUBLES) for _ in range(2)]
    begin = builder.mul(image, count)
    builder.branch(inner)

    builder.position_at_end(inner)
    position = builder.phi(WIDE)
    high, place = builder.phi(INTS), builder.phi(INTS)
    low, positive, zeros = (builder.phi(INTS) for _ in range(3))
    total, squares = builder.phi(DOUBLES), builder.phi(DOUBLES)
    number = builder.add(begin, position)
    pointer_kind = BYTE.as_pointer()
    fetch = known("prefetch.p0i8", pointer_kind, INT, INT, INT, ir.VoidType())
    later = builder.add(number, ir.Constant(WIDE, AHEAD))
    # To be read, kept in all caches, as data. An address behind the end does no harm.
    hints = (ir.Constant(INT, hint) for hint in (0, 3, 1))
    builder.call(fetch, [at_position(later), *hints])
    numbers = loaded(at_position(number))
    bits = builder.bitcast(numbers, INTS)
    sign = builder.ashr(bits, all_lanes(INTS, 31))
    key = builder.xor(bits, builder.and_(sign, all_lanes(INTS, 0x7FFFFFFF)))
    is_above = builder.icmp_signed(">", key, high)
    is_positive = builder.icmp_signed(">", key, nothing)
    is_zero = builder.icmp_signed("==", key, nothing)
    precise = builder.fpext(numbers, DOUBLES)
    floor = known("floor.v16f64", DOUBLES, DOUBLES)
    code = builder.fptosi(builder.call(floor, [builder.fmul(precise, scales)]), INTS)
    # From -128..127 to 0..255.
    small = builder.xor(builder.trunc(code, BYTES), all_lanes(BYTES, -128))
    vectors.put(small, vectors.moved(codes, number, BYTES))
    apart_from_shift = builder.fsub(precise, shift)
    fused = known("fma.v16f64", DOUBLES, DOUBLES, DOUBLES, DOUBLES)
    following = builder.add(position, ir.Constant(WIDE, 1))
    here = vectors.spread(INTS, builder.trunc(position, INT))
    of_image = (
        (position, ir.Constant(WIDE, 0), following),
        (high, lowest, builder.select(is_above, key, high)),
        (place, nothing, builder.select(is_above, here, place)),
    )
    of_all = (
        (low, builder.select(builder.icmp_signed("<", key, low), key, low)),
        (positive, builder.add(positive, builder.zext(is_positive, INTS))),
        (zeros, builder.add(zeros, builder.zext(is_zero, INTS))),
        (total, builder.fadd(total, apart_from_shift)),
        (squares, builder.call(fused, [apart_from_shift, apart_from_shift, squares])),
    )
    for phi, first, after in of_image:
        phi.add_incoming(first, outer)
        phi.add_incoming(after, inner)
    for (phi, after), so_far in zip(of_all, sums_before, strict=True):
        phi.add_incoming(so_far, outer)
        phi.add_incoming(after, inner)
    builder.cbranch(builder.icmp_signed("<", following, count), inner, last)

    builder.position_at_end(last)
    high_here, place_here = of_image[1][2], of_image[2][2]
    _raise_tops(
        vectors,
        [
            vectors.moved(builder.extract_value(tops, i), image, kind)
            for i, kind in ((0, FLOATS), (1, WIDES))
        ],
        high_here,
        place_here,
        start,
    )
    is_above = builder.icmp_signed(">", high_here, high_before)
    highest = builder.select(is_above, high_here, high_before)
    next_image = builder.add(image, ir.Constant(WIDE, 1))
    starts = (all_lanes(INTS, 0x7FFFFFFF), nothing, nothing, *[all_lanes(DOUBLES, 0.0)] * 2)
    for phi, first, after in (
        (image, ir.Constant(WIDE, 0), next_image),
        (high_before, lowest, highest),
        *zip(sums_before, starts, (after for _, after in of_all), strict=True),
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(after, last)
    builder.cbranch(builder.icmp_signed("<", next_image, images), outer, end)

    builder.position_at_end(end)
    lowest_of_all, positives, zeros_in_all, *sums_of_all = (after for _, after in of_all)
    for row, lanes in enumerate((lowest_of_all, highest, positives, zeros_in_all)):
        vectors.put(lanes, ints, row)
    for row, lanes in enumerate((*sums_of_all, shift)):
        vectors.put(lanes, sums, row)
    least, most = (vectors.spread(INTS, builder.extract_value(bounds, i)) for i in (0, 1))
    is_low = builder.icmp_signed("<", lowest_of_all, least)
    is_high = builder.icmp_signed(">=", highest, most)
    outside = builder.bitcast(builder.or_(is_low, is_high), ir.IntType(LANES))
    return builder.icmp_signed("==", outside, ir.Constant(ir.IntType(LANES), 0))


def _raise_tops(vectors: Vectors, tops: Any, high: Any, place: Any, start: Any) -> None:
    """Raises what is highest in an image, if that is finite.

    Args:
        vectors: where it is written.
        tops: addresses of the highest values and of their first positions.
        high: key of the highest here.
        place: its first position, counted from `start`.
        start: position.
    """
    builder = vectors.builder
    top = vectors.row(tops[0], FLOATS)
    number = vectors.number_of(high)
    is_finite = builder.icmp_signed("<", high, vectors.all_lanes(INTS, INFINITE))
    is_above = builder.and_(builder.fcmp_ordered(">", number, top), is_finite)
    whole_place = builder.add(builder.sext(place, WIDES), vectors.spread(WIDES, start))
    vectors.put(builder.select(is_above, number, top), tops[0])
    vectors.put(builder.select(is_above, whole_place, vectors.row(tops[1], WIDES)), tops[1])


def _absorbed(vectors: Vectors, ints: Any, sums: Any, count: Any, columns: Any) -> None:
    builder, row, put = vectors.builder, vectors.row, vectors.put
    minimum, maximum, mean, squares, known, positive, zeros = (
        row(columns, DOUBLES, number) for number in range(7)
    )
    nothing = vectors.all_lanes(DOUBLES, 0.0)
    low, high = (
        builder.fadd(builder.fpext(vectors.number_of(row(ints, INTS, i)), DOUBLES), nothing)
        for i in (0, 1)
    )
    put(builder.select(builder.fcmp_ordered("<", low, minimum), low, minimum), columns, 0)
    put(builder.select(builder.fcmp_ordered(">", high, maximum), high, maximum), columns, 1)
    for number, counts in ((5, positive), (6, zeros)):
        more = builder.sitofp(row(ints, INTS, number - 3), DOUBLES)
        put(builder.fadd(counts, more), columns, number)
    added = vectors.spread(DOUBLES, builder.sitofp(count, DOUBLES.element))
    total, shift = row(sums, DOUBLES, 0), row(sums, DOUBLES, 2)
    # Nothing is lost: the shift is one of the values, so that what is taken away is at most `count`
    # times what is left.
    spread = builder.fsub(row(sums, DOUBLES, 1), builder.fdiv(builder.fmul(total, total), added))
    spread = builder.select(builder.fcmp_ordered(">", spread, nothing), spread, nothing)
    is_first = builder.fcmp_ordered("==", known, nothing)
    origin = builder.select(is_first, shift, row(columns, DOUBLES, 9))
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
