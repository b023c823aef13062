"""Named arrays in one `.npz` file whose bytes depend on the arrays alone."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np

from reportgen.report.arrays import Array


def written_archive(arrays: Mapping[str, Array]) -> bytes:
    """The `.npz` file of `arrays`, for `numpy.load`; each keeps its dtype.

    Raises:
        ValueError: if an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
            # `numpy.savez` writes the time of day into the archive.
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def read_member(archive: zipfile.ZipFile, key: str) -> Array:
    """The array `key` of an open `.npz` file. Nothing in the file is executed.

    Raises:
        KeyError: if there is no array of that name.
        ValueError: if it is not an array of plain numbers.
        zipfile.BadZipFile: if the file is damaged.
    """
    with archive.open(f"{key}.npy") as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # Also what makes zipfile compare the checksum.
            raise ValueError("there is more than one array's worth of data")
    array.flags.writeable = False
    return array
