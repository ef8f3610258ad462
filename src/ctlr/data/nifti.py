"""Read one volume from a NIfTI file that nobody vouches for.

The header is read first, checked against the limits below and against what the file can hold; only then are voxels
read, exactly as many as it claims. Text fields of the header (`descrip`, `aux_file`, `db_name`, `intent_name`) and
gzip's stored file name are never looked at.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import igzip_lib, isal_zlib
from nibabel.nifti1 import Nifti1Header, data_type_codes
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from ctlr.data.fetched import refuse_pointer, unreadable
from ctlr.data.sources import open_regular
from ctlr.errors import DataError
from ctlr.specs import Measured

__all__ = ["LARGEST", "Volume", "look_at_volume", "measure_volume", "read_volume"]

LARGEST = 2**30
"""Bytes of voxels above which a file is refused."""

_MOST_MEMBERS = 2**16  # gzip files that follow each other in one: of bgzip's blocks of 64 kB these hold 4 GiB
_DEFLATE_LIMIT = 1032  # no byte of a deflate stream gives more than this many
_LARGEST_EXTENSION = 2**24  # bytes between header and voxels
_PIECE = 2**18  # bytes inflated at once: what stays in a core's cache
_HASHED_VOXELS = 2**17
_LARGEST_VALUE = 1e30  # leaves room below the largest float32, 3e38
_GZIP = b"\x1f\x8b"
_UNITS = {0: ("", 1.0), 1: ("metre", 1000.0), 2: ("mm", 1.0), 3: ("micron", 0.001)}  # code -> name, mm
_FIELD = (1.0, 3000.0)  # mm that the longest side of a field of view may have: an embryo, a whole person
_LONGEST_TURN = 1.01  # length of a quaternion that rounding may explain
_UNHEARD = logging.Logger("nibabel", logging.CRITICAL + 1)
_KINDS = {  # size of the header -> where the magic string stands, what it is, who parses it
    348: (slice(344, 348), b"n+1\0", Nifti1Header),
    540: (slice(4, 12), b"n+2\0\r\n\x1a\n", Nifti2Header),
}


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume as it is stored.

    Attributes:
        voxels: (I, J, K) stored numbers, any real dtype and byte order; value = voxels * slope + inter.
        affine: (4, 4) from voxel index to mm in RAS.
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    slope: float
    inter: float

    def digest(self) -> str:
        """SHA-256 of shape and values, the axes brought to RAS order.

        Equal for one image stored in another orientation, compression, dtype or byte order, with another header. Above
        2^17 voxels a regular lattice of 2^14 of them or more stands for all: noise makes any two scans differ on it.
        """
        turn = np.abs(self.affine[:3, :3]).argmax(axis=1)
        if len(set(turn)) < 3:  # two axes equally near; take them as they are
            turn = np.arange(3)
        flips = tuple(slice(None, None, -1 if self.affine[row, axis] < 0 else 1) for row, axis in enumerate(turn))
        view = self.voxels.transpose(turn)[flips]
        step = int(np.ceil((view.size / _HASHED_VOXELS) ** (1 / 3)))
        lattice = view[::step, ::step, ::step].astype(np.float32) * np.float32(self.slope) + np.float32(self.inter)
        digest = hashlib.sha256(np.array(view.shape, "<i8").tobytes())
        digest.update(np.ascontiguousarray(lattice, "<f4").data)
        return digest.hexdigest()


def read_volume(path: Path) -> Volume:
    """Read a volume from a .nii or .nii.gz file (NIfTI-1 or -2).

    The header is taken as nibabel takes it: a negative voxel edge counts by its size, qfac is 1 unless it is -1, and
    without sform and qform the voxel edges alone make the affine, the first axis running to the left. Unlike there,
    `xyzt_units` counts: metres and microns become mm.

    Raises:
        DataError: The file cannot be used; says the rule, the value and the remedy. The caller names the file.
    """
    try:
        with open_regular(path) as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            return _parse(_Inflater(file) if packed else _Plain(file))
    except OSError as error:
        raise unreadable(path, error) from error


def look_at_volume(path: Path) -> None:
    """Look at a volume's header, and whether the file holds as many voxels as that claims.

    Of a gzip file the end says how much it holds; only where that does not fit it is read as a whole.

    Raises:
        DataError: As of `read_volume`, but for the values of voxels.
    """
    try:
        with open_regular(path) as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            shape, dtype, offset, *_ = _claimed(_Inflater(file) if packed else _Plain(file))
            if packed:
                file.seek(-4, os.SEEK_END)
                packed = int.from_bytes(file.read(4), "little") != (offset + dtype.itemsize * math.prod(shape)) % 2**32
    except OSError as error:
        raise unreadable(path, error) from error
    if packed:
        read_volume(path)


def measure_volume(path: Path) -> Measured:
    """Shape and edges of a voxel in mm, from the header alone.

    Raises:
        DataError: As of `look_at_volume`.
    """
    try:
        with open_regular(path) as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            shape, _, _, affine, *_ = _claimed(_Inflater(file) if packed else _Plain(file))
    except OSError as error:
        raise unreadable(path, error) from error
    return Measured(shape=shape, spacing=tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist()))


class _Plain:
    """Reads a file that is not compressed.

    Attributes:
        holds: Bytes that it can give at most.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.holds = os.fstat(file.fileno()).st_size

    def fill(self, buffer: memoryview) -> int:
        """Fill the buffer with what comes next; return the number of bytes, fewer at the end of the file."""
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]  # of a buffered reader

    def whole(self) -> bool:
        """Whether nothing is missing; plain files end without a mark."""
        return True


class _Inflater:
    """Inflates a gzip file piece by piece: no more than was asked for lies in memory.

    Attributes:
        holds: Bytes that it can give at most.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.holds = os.fstat(file.fileno()).st_size * _DEFLATE_LIMIT
        self._stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        self._members = 1
        self._ahead = b""

    def fill(self, buffer: memoryview) -> int:
        """Fill the buffer with what comes next; return the number of bytes, fewer at the end of the file.

        Raises:
            DataError: The data is damaged.
        """
        at = 0
        while at < len(buffer):
            piece = self._inflate(min(_PIECE, len(buffer) - at))
            if not piece:
                break
            buffer[at : at + len(piece)] = piece
            at += len(piece)
        return at

    def _inflate(self, n: int) -> bytes:
        """At most n bytes; none at the end, or where the file was cut."""
        piece = b""
        while not piece:
            if self._stream.eof and not self._next_member():
                break
            if self._stream.needs_input and not self._ahead:
                self._ahead = self._file.read(_PIECE)
                if not self._ahead:
                    break
            try:
                piece = self._stream.decompress(self._ahead, n)
            except isal_zlib.error as error:  # type: ignore[misc]  # the stub declares an instance
                raise DataError(f"the gzip data is damaged ({error}). Copy or convert the file again.") from error
            self._ahead = b""
        return piece

    def _next_member(self) -> bool:
        """Go on to the gzip data that follows this one, if any."""
        self._ahead = self._stream.unused_data or self._file.read(_PIECE)
        if not self._ahead.startswith(_GZIP):
            return False
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise DataError(f"the gzip data is in more than {_MOST_MEMBERS} pieces. Compress the image again.")
        self._stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        return True

    def whole(self) -> bool:
        """Whether the checksum at the end was reached, or more data than was needed follows."""
        return self._stream.eof or bool(self._inflate(1)) or self._stream.eof


def _parse(source: _Plain | _Inflater) -> Volume:
    """Header, checks, voxels."""
    shape, dtype, _, affine, slope, inter = _claimed(source)
    voxels = np.empty(shape[::-1], dtype).T
    n_bytes = source.fill(voxels.T.reshape(-1).view(np.uint8).data)
    if n_bytes < voxels.nbytes or not source.whole():
        raise DataError(
            f"the file is truncated: {voxels.nbytes} bytes of voxels and an intact end are needed; got {n_bytes} "
            "bytes. Copy or convert it again."
        )
    _check_values(voxels, slope, inter)
    return Volume(voxels=voxels, affine=affine, slope=slope, inter=inter)


def _claimed(
    source: _Plain | _Inflater,
) -> tuple[tuple[int, int, int], np.dtype[Any], int, NDArray[np.float64], float, float]:
    """Shape, dtype, place of the voxels, affine, slope and intercept; the source is left before the voxels."""
    try:
        header = _header(source)
        shape, dtype, gap = _layout(header)
        _check_claim(shape, dtype, gap, source.holds)
        affine = _affine(header, shape)
        slope, inter = header.get_slope_inter()
    except HeaderDataError as error:
        raise DataError(f"the header breaks NIfTI's rules: {error}. Convert the image again.") from error
    source.fill(memoryview(bytearray(gap)))
    return shape, dtype, header.sizeof_hdr + gap, affine, slope or 1.0, inter or 0.0


def _header(source: _Plain | _Inflater) -> Nifti1Header:
    """The header, and the source left behind it."""
    block = bytearray(540)
    found = source.fill(memoryview(block)[:348])
    for size, (place, magic, parser) in _KINDS.items():
        if block[:4] in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
            found += source.fill(memoryview(block)[348:size])
            if found == size and block[place] == magic:
                return parser(bytes(block[:size]), check=False)
    if isinstance(source, _Plain):
        refuse_pointer(bytes(block[: min(found, 348)]))
    first = bytes(block[: min(found, 4)])
    raise DataError(
        f"a NIfTI file (.nii or .nii.gz, header and voxels in one) is needed; its first bytes are {first!r}. "
        "Convert the image, e.g. with dcm2niix."
    )


def _layout(header: Nifti1Header) -> tuple[tuple[int, int, int], np.dtype[Any], int]:
    """Shape, dtype, and the bytes between header and voxels."""
    n_axes = int(header["dim"][0])
    shape = tuple(int(n) for n in header["dim"][1 : 1 + n_axes]) if 1 <= n_axes <= 7 else ()
    if len(shape) < 3 or min(shape[:3]) < 1 or max(shape[3:], default=1) > 1:
        raise DataError(
            f"one volume of three axes is needed; the header says dim = {[int(n) for n in header['dim']]} "
            f"({n_axes}-D). Keep one volume of a series, and convert a damaged image again."
        )
    dtype = _dtype(header)
    start = float(header["vox_offset"])
    size = header.sizeof_hdr
    if not (start == 0 or size + 4 <= start <= size + _LARGEST_EXTENSION):
        raise DataError(
            f"voxels must begin behind the header ({size + 4} bytes); vox_offset is {start:g}. Convert the image again."
        )
    return (shape[0], shape[1], shape[2]), dtype, max(int(start), size + 4) - size


def _dtype(header: Nifti1Header) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except KeyError as error:
        raise DataError(f"the type of the voxels is unknown: datatype {error}. Convert the image again.") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        what = data_type_codes.label[int(header["datatype"])]
        raise DataError(f"voxels must be real numbers of at most 64 bits; got {what}. Convert the image.")
    return dtype


def _check_claim(shape: tuple[int, ...], dtype: np.dtype[Any], offset: int, holds: int) -> None:
    claim = dtype.itemsize * math.prod(shape)
    what = f"the header claims {' x '.join(map(str, shape))} voxels of {dtype} ({_size(claim)})"
    if claim > LARGEST:
        raise DataError(f"{what}; {_size(LARGEST)} at most are read. Resample the image, or repair its header.")
    if claim + offset > holds:
        raise DataError(f"{what}, more than the file can hold: it is truncated, or its header wrong. Copy it again.")


def _affine(header: Nifti1Header, shape: Sequence[int]) -> NDArray[np.float64]:
    """(4, 4) to mm."""
    without_size = not header["pixdim"][1:4].all()
    header.check_fix(_UNHEARD, error_level=math.inf)
    if without_size and not header["sform_code"]:
        raise DataError("a voxel must have a size; pixdim[1..3] holds a 0. Write its edges into the header.")
    _shorten_turn(header)
    name, mm = _UNITS.get(int(header["xyzt_units"]) % 8, _UNITS[0])
    affine = np.asarray(header.get_best_affine(), np.float64)
    affine[:3] *= mm
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    with np.errstate(all="ignore"):
        flat = not abs(np.linalg.det(affine[:3, :3])) > 1e-4 * edges.prod()
    if not np.isfinite(affine).all() or flat:
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        raise DataError(
            f"the affine must be finite and invertible; got [{rows}]. Restore sform or qform, or convert it again."
        )
    longest = float((edges * shape).max())
    if not _FIELD[0] <= longest <= _FIELD[1]:
        unit = f"in units of one {name} (xyzt_units)" if name else "without a unit (xyzt_units), so in mm"
        raise DataError(
            f"the longest side of the field of view must have {_FIELD[0]:g} to {_FIELD[1]:g} mm; the header gives "
            f"{longest:g} mm, {unit}. Correct the unit or the size of the voxels."
        )
    return affine


def _shorten_turn(header: Nifti1Header) -> None:
    """Bring a quaternion that rounding made longer than 1 back to it, as the NIfTI library does."""
    names = ("quatern_b", "quatern_c", "quatern_d")
    length = math.sqrt(sum(float(header[name]) ** 2 for name in names))
    if header["sform_code"] or not header["qform_code"] or not length > 1:
        return
    if length > _LONGEST_TURN:
        raise DataError(
            f"the quaternion of the qform must be at most 1 long; it is {length:g}. Restore sform or qform, or convert "
            "it again."
        )
    for name in names:
        header[name] = float(header[name]) / length


def _check_values(voxels: NDArray[Any], slope: float, inter: float) -> None:
    """NaN, infinity, and values that would not stay finite in float32 arithmetic."""
    if voxels.dtype.kind == "f":
        low, high = float(voxels.min()), float(voxels.max())  # NaN comes through both
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = int(voxels.size - np.isfinite(voxels).sum())
            raise DataError(f"every voxel must be finite; {bad} of {voxels.size} are NaN or infinite. Set them to 0.")
    else:
        low, high = np.iinfo(voxels.dtype).min, np.iinfo(voxels.dtype).max
    reach = max(abs(low), abs(high)) * abs(slope) + abs(inter)
    if reach > _LARGEST_VALUE:
        raise DataError(
            f"values must stay below {_LARGEST_VALUE:g}; with slope {slope:g} and intercept {inter:g} they may reach "
            f"{reach:g}. Convert the image again."
        )


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.4g} TB"
