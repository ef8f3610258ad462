from __future__ import annotations

import contextlib
import gzip
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import orientations

from ctlr.data.nifti import measure_volume, read_volume
from ctlr.errors import DataError

AFFINE = np.array([[0, 0, 2.0, -10], [-1.5, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1]])
VOXELS = np.random.default_rng(0).integers(0, 1000, (5, 6, 7)).astype(np.int16)

Save = Callable[..., Path]


@pytest.fixture
def plain(tmp_path: Path, save: Save) -> bytes:
    return save(tmp_path / "plain.nii", VOXELS, AFFINE).read_bytes()


def _read(tmp_path: Path, data: bytes, name: str = "x.nii.gz") -> Any:
    (tmp_path / name).write_bytes(data)
    return read_volume(tmp_path / name)


def _edited(data: bytes, layout: str, at: int, *values: float) -> bytes:
    return data[:at] + struct.pack("<" + layout, *values) + data[at + struct.calcsize("<" + layout) :]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "i4", "f4", ">f4", "f8"])
def test_what_nibabel_writes_is_read_as_nibabel_reads_it(tmp_path: Path, ending: str, kind: Any, dtype: str) -> None:
    header = kind.header_class(endianness=">" if dtype.startswith(">") else "<")
    image = kind((VOXELS % 200).astype(dtype), AFFINE, header)
    image.set_data_dtype(dtype)
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, tmp_path / f"x{ending}")
    volume = read_volume(tmp_path / f"x{ending}")
    expected = nib.load(tmp_path / f"x{ending}")
    np.testing.assert_allclose(volume.voxels * volume.slope + volume.inter, expected.get_fdata(), atol=1e-6)
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-6)


@pytest.mark.parametrize("excess", [0.0, 4e-7, 1e-5, 1e-3])
def test_half_a_turn_that_rounding_made_longer_is_half_a_turn(tmp_path: Path, excess: float) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape(VOXELS.shape)
    header["qform_code"], header["pixdim"][:4] = 1, (1, 2, 3, 4)
    header["quatern_b"], header["vox_offset"], header["magic"] = np.sqrt(1 + excess), 352, b"n+1"
    content = header.binaryblock + bytes(4) + VOXELS.astype("<f4").tobytes(order="F")
    affine = _read(tmp_path, content).affine
    np.testing.assert_allclose(affine, np.diag([2, -3, -4, 1]), atol=1e-6)


@pytest.mark.parametrize("length", [1.1, 3e38])
def test_what_is_no_rotation_is_refused(tmp_path: Path, length: float) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape(VOXELS.shape)
    header["qform_code"], header["quatern_c"], header["vox_offset"], header["magic"] = 1, length, 352, b"n+1"
    with pytest.raises(DataError, match="the quaternion of the qform must be at most 1 long; it is"):
        _read(tmp_path, header.binaryblock + bytes(4) + VOXELS.astype("<f4").tobytes(order="F"))


def test_a_fourth_axis_of_one_volume_is_dropped(tmp_path: Path, save: Save) -> None:
    path = save(tmp_path / "x.nii", VOXELS[..., None])
    assert read_volume(path).voxels.shape == (5, 6, 7)
    path.write_bytes(_edited(path.read_bytes(), "8h", 40, 4, 5, 6, 7, 0, 0, 0, 0))
    assert read_volume(path).voxels.shape == (5, 6, 7)


def test_gzip_in_several_members_is_one_file(tmp_path: Path, plain: bytes) -> None:
    parts = gzip.compress(plain[:300]) + gzip.compress(plain[300:500]) + gzip.compress(plain[500:])
    np.testing.assert_array_equal(_read(tmp_path, parts).voxels, VOXELS)


def test_gzip_in_endless_many_members_is_refused(tmp_path: Path, plain: bytes) -> None:
    with pytest.raises(DataError, match="in more than 65536 pieces. Compress the image again"):
        _read(tmp_path, gzip.compress(plain[:300]) + 70_000 * gzip.compress(b"") + gzip.compress(plain[300:]))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "x.nii")
    with pytest.raises(DataError, match="the file cannot be read: Is a pipe or a device"):
        read_volume(tmp_path / "x.nii")


def test_the_ending_does_not_decide_whether_a_file_is_compressed(tmp_path: Path, plain: bytes) -> None:
    np.testing.assert_array_equal(_read(tmp_path, plain, "x.nii.gz").voxels, VOXELS)
    np.testing.assert_array_equal(_read(tmp_path, gzip.compress(plain), "x.nii").voxels, VOXELS)


@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_file_is_named_so(tmp_path: Path, plain: bytes, packed: bool) -> None:
    data = gzip.compress(plain, mtime=0) if packed else plain
    for length in (len(data) - 1, len(data) - 9, len(data) - 200) if packed else (len(data) - 1, 400):
        with pytest.raises(DataError, match="truncated"):
            _read(tmp_path, data[:length])


def test_a_flipped_bit_is_found_by_the_checksum(tmp_path: Path, plain: bytes) -> None:
    data = bytearray(gzip.compress(plain, 0))
    data[-60] ^= 1
    with pytest.raises(DataError, match="the gzip data is damaged.*Copy or convert"):
        _read(tmp_path, bytes(data))


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"not an image at all" * 50, b"\x5c\x01\0\0" + bytes(400)])
def test_what_is_no_nifti_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DataError, match="a NIfTI file .* is needed; its first bytes are"):
        _read(tmp_path, data)


@pytest.mark.parametrize(
    ("layout", "at", "values", "message"),
    [
        ("8h", 40, (4, 5, 6, 7, 3, 1, 1, 1), r"one volume of three axes is needed.*4, 5, 6, 7, 3.*4-D"),
        ("8h", 40, (2, 5, 6, 1, 1, 1, 1, 1), "2-D"),
        ("8h", 40, (3, 5, -6, 7, 1, 1, 1, 1), "one volume of three axes"),
        ("8h", 40, (99, 5, 6, 7, 1, 1, 1, 1), "one volume of three axes"),
        (
            "8h",
            40,
            (3, 5000, 5000, 2000, 1, 1, 1, 1),
            r"5000 x 5000 x 2000 voxels of int16 \(100 GB\); 1.07 GB at most",
        ),
        ("8h", 40, (3, 500, 500, 200, 1, 1, 1, 1), r"claims .* \(100 MB\), more than the file can hold"),
        ("h", 70, (32,), "voxels must be real numbers of at most 64 bits; got complex64"),
        ("h", 70, (128,), "voxels must be real numbers of at most 64 bits; got RGB"),
        ("h", 70, (77,), "the type of the voxels is unknown: datatype 77"),
        ("f", 108, (float("nan"),), r"voxels must begin behind the header .352 bytes.; vox_offset is nan"),
        ("f", 108, (348,), "vox_offset is 348"),
        ("f", 108, (4e9,), "voxels must begin behind the header"),
        ("12f", 280, (0,) * 12, "the affine must be finite and invertible; got .0 0 0 0; 0 0 0 0; 0 0 0 0."),
        ("12f", 280, (1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0), "the affine must be finite and invertible"),
        ("12f", 280, (float("nan"), *(1,) * 11), "the affine must be finite and invertible"),
        ("ff", 112, (1.0, float("inf")), "breaks NIfTI's rules"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_header_that_breaks_a_rule_is_refused(
    tmp_path: Path, plain: bytes, packed: bool, layout: str, at: int, values: tuple[float, ...], message: str
) -> None:
    data = _edited(plain, layout, at, *values)
    with pytest.raises(DataError, match=message) as caught:
        _read(tmp_path, gzip.compress(data) if packed else data)
    assert str(tmp_path) not in str(caught.value)


def test_a_bomb_is_refused_without_inflating_it(tmp_path: Path, plain: bytes) -> None:
    data = _edited(plain, "8h", 40, 3, 5000, 5000, 2000, 1, 1, 1, 1)
    with (tmp_path / "x.nii.gz").open("wb") as raw, gzip.open(raw, "wb") as file:
        file.write(data[:352] + bytes(2**26))
    code = (
        "import resource, sys; from pathlib import Path; from ctlr.data.nifti import read_volume\n"
        "from ctlr.errors import DataError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_volume(Path(sys.argv[1]))\n"
        "except DataError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.nii.gz"], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 8 * 1024  # KiB; the data behind the header alone would be 64 MiB


FORMS, EDGES, TURN, ROWS = ("2h", 252), ("4f", 76), ("6f", 256), ("12f", 280)
"""Where a NIfTI-1 header has qform_code and sform_code, pixdim[0..3], the quaternion with its offset, the sform."""


def _with(data: bytes, *fields: tuple[tuple[str, int], tuple[float, ...]]) -> bytes:
    for (layout, at), values in fields:
        data = _edited(data, layout, at, *values)
    return data


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([(FORMS, (0, 0)), (EDGES, (1, -4, 4, 4))], id="negative edge, no form"),
        pytest.param([(FORMS, (0, 0)), (EDGES, (-1, 2, -3, -4))], id="two negative edges, no form"),
        pytest.param([(FORMS, (1, 0)), (EDGES, (1, -4, 3, 2)), (TURN, (0.1, 0.2, 0.3, 5, 6, 7))], id="negative edge"),
        pytest.param([(FORMS, (1, 0)), (EDGES, (-1, 4, 3, -2)), (TURN, (0.1, 0.2, 0.3, 5, 6, 7))], id="qfac -1"),
        pytest.param([(FORMS, (1, 0)), (EDGES, (0, 4, 3, 2)), (TURN, (0.1, 0.2, 0.3, 5, 6, 7))], id="qfac 0"),
        pytest.param([(FORMS, (1, 0)), (EDGES, (2, 4, 3, 2)), (TURN, (0.1, 0.2, 0.3, 5, 6, 7))], id="qfac 2"),
        pytest.param([(FORMS, (1, 7)), (ROWS, (5, 0, 0, 0, 0, 5, 0, 0, 0, 0, 5, 0))], id="sform code 7"),
        pytest.param([(FORMS, (-1, 0)), (EDGES, (1, 4, 3, 2))], id="qform code -1"),
        pytest.param([(FORMS, (0, 1)), (EDGES, (1, 0, 0, 0))], id="no edges, sform"),
    ],
)
def test_odd_headers_are_read_as_nibabel_reads_them(
    tmp_path: Path, plain: bytes, fields: list[tuple[tuple[str, int], tuple[float, ...]]]
) -> None:
    volume = _read(tmp_path, _with(plain, *fields), "x.nii")
    np.testing.assert_allclose(volume.affine, nib.load(tmp_path / "x.nii").affine, atol=1e-6)


def test_without_forms_the_first_axis_runs_left_whatever_its_edge_says(tmp_path: Path, save: Save) -> None:
    data = save(tmp_path / "x.nii", np.random.default_rng(0).random((48, 5, 5)).astype(np.float32)).read_bytes()
    volume = _read(tmp_path, _with(data, (FORMS, (0, 0)), (EDGES, (1, -4, 4, 4))), "x.nii")
    assert volume.affine[0].tolist() == [-4, 0, 0, 94]


@pytest.mark.parametrize(("unit", "mm"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (10, 1), (11, 0.001)])
def test_metres_and_microns_become_millimetres(tmp_path: Path, plain: bytes, unit: int, mm: float) -> None:
    edges = _with(plain, (FORMS, (0, 0)), (EDGES, (1, *(np.array([2, 3, 4]) / mm))), (("B", 123), (unit,)))
    np.testing.assert_allclose(np.diag(_read(tmp_path, edges).affine), [-2, 3, 4, 1], rtol=1e-6)
    rows = (ROWS, (2 / mm, 0, 0, -7 / mm, 0, 3 / mm, 0, 0, 0, 0, 4 / mm, 0))
    affine = _read(tmp_path, _with(plain, (FORMS, (0, 1)), rows, (("B", 123), (unit,)))).affine
    np.testing.assert_allclose(affine[0], [2, 0, 0, -7], rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "edge", "message"),
    [
        (3, 1, r"must have 1 to 3000 mm; the header gives 0.007 mm, in units of one micron \(xyzt_units\). Correct"),
        (1, 1, r"the header gives 7000 mm, in units of one metre \(xyzt_units\)"),
        (0, 0.001, r"the header gives 0.007 mm, without a unit \(xyzt_units\), so in mm"),
        (2, 1000, r"the header gives 7000 mm, in units of one mm"),
    ],
)
def test_a_field_of_view_that_is_no_body_is_refused(
    tmp_path: Path, plain: bytes, unit: int, edge: float, message: str
) -> None:
    data = _with(plain, (FORMS, (0, 0)), (EDGES, (1, edge, edge, edge)), (("B", 123), (unit,)))
    with pytest.raises(DataError, match=message):
        _read(tmp_path, data)


def test_a_voxel_without_a_size_is_refused_where_nothing_else_tells_it(tmp_path: Path, plain: bytes) -> None:
    with pytest.raises(DataError, match=r"a voxel must have a size; pixdim\[1..3\] holds a 0"):
        _read(tmp_path, _with(plain, (FORMS, (1, 0)), (EDGES, (1, 2, 0, 2))))


@pytest.mark.parametrize("length", [1 + 2e-7, 1 + 2e-6, 1.005])
def test_a_quaternion_that_rounding_made_too_long_is_a_half_turn(tmp_path: Path, plain: bytes, length: float) -> None:
    turn = (TURN, (0.6 * length, 0.8 * length, 0, 5, 6, 7))
    volume = _read(tmp_path, _with(plain, (FORMS, (1, 0)), (EDGES, (1, 4, 3, 4)), turn))
    expected = [[-1.12, 2.88, 0, 5], [3.84, 0.84, 0, 6], [0, 0, -4, 7], [0, 0, 0, 1]]  # v -> 2 q (q . v) - v
    np.testing.assert_allclose(volume.affine, expected, atol=1e-5)


def test_a_longer_quaternion_is_refused(tmp_path: Path, plain: bytes) -> None:
    with pytest.raises(DataError, match="the quaternion of the qform must be at most 1 long; it is 1.1"):
        _read(tmp_path, _with(plain, (FORMS, (1, 0)), (TURN, (0.66, 0.88, 0, 5, 6, 7))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file is empty \(0 bytes\). Copy, fetch or export it again"),
        (b"/annex/objects/MD5E-s3--0123.nii.gz\n", "git-annex has not fetched the content .* Run `datalad get`"),
        (b"../../.git/annex/objects/W7/6Q/MD5E-s3--01/MD5E-s3--01", "git-annex has not fetched"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "Git LFS .* Run `git lfs pull`"),
    ],
)
def test_a_file_whose_content_was_not_fetched_says_how_to_fetch_it(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _read(tmp_path, content)


def test_a_link_into_the_annex_says_how_to_fetch_it(tmp_path: Path) -> None:
    (tmp_path / "x.nii.gz").symlink_to("../../.git/annex/objects/W7/6Q/MD5E-s3--01/MD5E-s3--01")
    with pytest.raises(DataError, match="git-annex has not fetched the content of this file. Run `datalad get`"):
        read_volume(tmp_path / "x.nii.gz")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_counted(tmp_path: Path, save: Save, value: float) -> None:
    voxels = VOXELS.astype(np.float32)
    voxels[1, 2, 3] = voxels[0, 0, 0] = value
    with pytest.raises(DataError, match="every voxel must be finite; 2 of 210 are NaN or infinite. Set them to 0"):
        read_volume(save(tmp_path / "x.nii.gz", voxels))


def test_values_that_float32_cannot_hold_are_refused(tmp_path: Path, plain: bytes, save: Save) -> None:
    with pytest.raises(DataError, match=r"values must stay below 1e\+30; with slope 1e\+30 and intercept 0"):
        _read(tmp_path, _edited(plain, "f", 112, 1e30))
    voxels = np.zeros((4, 4, 4))
    voxels[0, 0, 0] = 1e300
    with pytest.raises(DataError, match=r"values must stay below 1e\+30; .* may reach 1e\+300"):
        read_volume(save(tmp_path / "x.nii.gz", voxels))


def test_a_missing_file_a_folder_and_a_dangling_link_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "link.nii").symlink_to("gone.nii")
    for name, reason in (
        ("absent.nii", "No such file"),
        ("folder.nii", "it is a folder. Put"),
        ("link.nii", "datalad get"),
    ):
        with pytest.raises(DataError, match=f"cannot be read: .*{reason}") as caught:
            read_volume(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


def test_a_file_without_permission_is_named(tmp_path: Path, plain: bytes) -> None:
    path = tmp_path / "x.nii"
    path.write_bytes(plain)
    path.chmod(0)
    if os.geteuid():
        with pytest.raises(DataError, match="cannot be read: Permission denied. Grant read access"):
            read_volume(path)
        return
    for folder in (tmp_path, *tmp_path.parents[:-2]):  # root may read anything: a child without privileges tries
        folder.chmod(folder.stat().st_mode | 0o055)
    code = (
        "import os, sys; from pathlib import Path; from ctlr.data.nifti import read_volume\n"
        "from ctlr.errors import DataError\nos.setuid(65534)\n"
        "try: read_volume(Path(sys.argv[1]))\nexcept DataError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=60)
    assert "cannot be read: Permission denied. Grant read access" in done.stdout


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_header_brings_the_reader_to_anything_but_a_data_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    image = nib.Nifti1Image(VOXELS, AFFINE)
    raw = bytearray(image.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, 347))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "x.nii"
    path.write_bytes(raw)
    with contextlib.suppress(DataError):
        assert read_volume(path).voxels.ndim == 3


def test_the_digest_sees_through_orientation_dtype_compression_and_header(tmp_path: Path, save: Save) -> None:
    image = nib.Nifti1Image(VOXELS, np.diag([1.0, 2, 3, 1]))
    turned = image.as_reoriented(orientations.axcodes2ornt("PSR"))
    wide = nib.Nifti1Image(VOXELS.astype(">f4"), image.affine, nib.Nifti1Header(endianness=">"))
    wide.header["descrip"] = b"Jane Doe"
    digests = set()
    for number, (each, ending) in enumerate(((image, ".nii"), (image, ".nii.gz"), (turned, ".nii"), (wide, ".nii.gz"))):
        nib.save(each, tmp_path / f"{number}{ending}")
        digests.add(read_volume(tmp_path / f"{number}{ending}").digest())
    assert len(digests) == 1
    other = VOXELS.copy()
    other[2, 2, 2] += 1
    assert read_volume(save(tmp_path / "other.nii", other)).digest() not in digests


def test_a_large_volume_is_digested_on_a_lattice_that_turns_with_it(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 255, (130, 110, 90)).astype(np.uint8)
    image = nib.Nifti1Image(voxels, np.diag([1.0, 1, 1, 1]))
    nib.save(image, tmp_path / "a.nii")
    nib.save(image.as_reoriented(orientations.axcodes2ornt("LIP")), tmp_path / "b.nii")
    assert read_volume(tmp_path / "a.nii").digest() == read_volume(tmp_path / "b.nii").digest()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_shape_and_edges_stand_in_the_header(ending: str, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.diag([-1.0, 2, 2.5, 1])), tmp_path / f"x{ending}")
    assert measure_volume(tmp_path / f"x{ending}") == ((4, 5, 6), (1.0, 2.0, 2.5), False)
    (tmp_path / "y.nii").write_bytes(b"nothing")
    with pytest.raises(DataError, match="a NIfTI file"):
        measure_volume(tmp_path / "y.nii")
