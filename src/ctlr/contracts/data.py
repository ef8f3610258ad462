"""What a kind of data promises: `DatasetSpec`'s answers, and the contract of `ctlr.data.reader.Reader`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ctlr.data.identity import remembered_identity
from ctlr.data.preprocess import preprocess, preprocess_some
from ctlr.data.reader import reader_of
from ctlr.data.store import ArrayStore
from ctlr.errors import DataError
from ctlr.specs import DATASETS, DatasetSpec, DataTask, TaskSpec
from ctlr.workspace import Workspace

__all__ = ["PROMISES", "Case", "cases_of"]


@dataclass(frozen=True)
class Case:
    """A small dataset of a kind.

    Attributes:
        kind: Its name.
        make: Fills an empty folder where the dataset lies in one, and returns it.
        folder: Below which folders are made.
    """

    kind: str
    make: Callable[[Path], DatasetSpec | None]
    folder: Path

    def made(self) -> DatasetSpec:
        """The dataset, in a folder of its own each time."""
        data = self.make(self.empty())
        assert data is not None, (
            "it lies in a folder and has no example to try it on. Add `@classmethod def example(cls, folder)`, which "
            "writes a few images into an empty folder and returns the dataset."
        )
        return data

    def workspace(self) -> Workspace:
        """An empty one."""
        return Workspace(self.empty() / "workspace")

    def empty(self) -> Path:
        """A new folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))


def cases_of(name: str, folder: Path) -> Iterator[Case]:
    """The example that the kind gives of itself."""
    yield Case(name, DATASETS[name].example, folder)


# ---------------------------------------------------------------- promises of the spec


def there_is_an_example(case: Case) -> None:
    """It gives a small example of itself."""
    data = case.made()
    assert isinstance(data, DatasetSpec), f"its example must be a dataset; it is {type(data).__name__}."


def stands_in_the_table_under_its_name(case: Case) -> None:
    """It stands in the table under its name, with a reader of its own."""
    data = case.made()
    assert DATASETS[case.kind] is type(data), f"its example must be of the kind; it is {type(data).__name__}."
    assert data.kind == case.kind, f"its `kind` must be {case.kind!r}; it is {data.kind!r}."


def is_read_back_with_all_its_options(case: Case) -> None:
    """It is written as JSON and read back as its kind, with all its options."""
    data = case.made()
    end = DataTask(data=data, task=TaskSpec(name="kind", target="class", kind="classification"))
    text = end.model_dump_json()
    assert json.loads(text)["data"] == json.loads(data.model_dump_json()), "options are lost when it is written."
    again = DataTask.model_validate_json(text)
    assert again == end, "it comes back changed. Let each field hold plain data."
    assert type(again.data) is type(data), f"it comes back as {type(again.data).__name__}."


def wrong_options_are_refused(case: Case) -> None:
    """It refuses options that it does not have, and values of another type."""
    right = json.loads(case.made().model_dump_json())
    for change in ({"nope": 1}, {"preprocess": {"spacing": "6"}}):
        try:
            DATASETS[case.kind].model_validate_json(json.dumps(right | change))
        except ValidationError:
            continue
        raise AssertionError(f"{change} must be refused. Leave `model_config` as it is.")


def moved_it_keeps_all_else(case: Case) -> None:
    """In another folder it is the same dataset."""
    data = case.made()
    options = json.loads(data.model_dump_json())
    assert data.in_folder() == ("root" in options), "`in_folder` must say whether it has an option `root`."
    moved = json.loads(data.at("elsewhere").model_dump_json())
    wanted = options | {"root": "elsewhere"} if data.in_folder() else options
    assert moved == wanted, "`at` must change nothing but `root`."


def root_is_judged_before_the_other_options(case: Case) -> None:
    """A folder that cannot be its `root` is refused with a sentence, whatever its other options are."""
    data = case.made()
    if not data.in_folder():
        return
    options = json.loads(data.model_dump_json()) | {"preprocess": "nonsense"}
    place = Path(options["root"])
    assert data.fault_of_root(options, place) == "", f"`fault_of_root` refuses its own example's folder: {place.name}."
    told = data.fault_of_root(options | {"root": "nowhere"}, place / "nowhere")
    assert told.endswith("."), f"`fault_of_root` must refuse a folder that is not there, in a sentence; got {told!r}."


def an_option_raises_the_number_of_subjects(case: Case) -> None:
    """`raised_by` names the option that raises the number of subjects that it knows."""
    data = case.made()
    if data.known_subjects is None:
        assert data.raised_by == "", "`raised_by` is for kinds with `known_subjects`. Leave it empty."
    elif data.raised_by:
        more = data.model_copy(update={data.raised_by: getattr(data, data.raised_by) + 1}).known_subjects
        assert more is not None, "`known_subjects` must stay known."
        assert more > data.known_subjects, f"one more of `{data.raised_by}` must raise `known_subjects`."


def words_fit_into_a_sentence(case: Case) -> None:
    """Its words fit into sentences."""
    data = case.made()
    for name in ("lies_as", "meant_for"):
        words = getattr(data, name)
        fits = bool(words) and not words.endswith((".", " "))
        assert fits, f"`{name}` ends a sentence: words without a stop; got {words!r}."


# ---------------------------------------------------------------- promises of the reader


def holds_what_it_lists(case: Case) -> None:
    """What it holds is known without reading an image."""
    data = case.made()
    listing = reader_of(data).listing()
    arrays = preprocess(data, case.workspace())
    if listing is None:
        known = data.known_subjects
        assert known == arrays.subjects == arrays.rows, f"it knows {known} subjects and stores {arrays.subjects}."
    else:
        assert len(listing.images) == arrays.rows, f"it lists {len(listing.images)} images and stores {arrays.rows}."
        assert reader_of(data, listing).listing() is listing, "a listing that it is given must not be made again."


def images_are_stored_in_order_and_shape(case: Case) -> None:
    """Images are stored in the order of the listing, with the shape that was asked for."""
    data, workspace = case.made(), case.workspace()
    arrays = preprocess(data, workspace)
    shape = data.stored_shape
    assert arrays.shape == shape, f"images must be {shape}; they are {arrays.shape}."
    opened = reader_of(data).open(workspace)
    images = opened.listing.images
    store = ArrayStore(arrays, workspace)
    stored = [(row.subject, row.session, row.file, row.columns) for row in store.table]
    listed = [(image.subject, image.session, image.file, image.columns) for image in images]
    assert stored == listed, "the stored table must repeat the listing, in its order."
    for number, image in enumerate(images):
        row = opened.row(image)
        assert row.digest == store.table[number].sha256, f"image {number} is another one when it is read again."
        assert row.values.dtype == np.dtype(arrays.dtype), (
            f"image {number} must be {arrays.dtype}; got {row.values.dtype}."
        )


def columns_are_those_that_it_says(case: Case) -> None:
    """Columns and classes are those that it says."""
    data, workspace = case.made(), case.workspace()
    table = ArrayStore(preprocess(data, workspace), workspace).table
    if data.classes_only:
        others = {name for row in table for name in row.columns} - {"class", "split"}
        assert not others, f"it says `classes_only` and has the columns {sorted(others)}."
    if data.known_classes:
        found = {row.columns["class"] for row in table}
        assert found == data.known_classes, f"it knows the classes {set(data.known_classes)} and holds {found}."


def any_number_of_workers_stores_the_same(case: Case) -> None:
    """Any number of workers stores the same bytes."""
    data, written = case.made(), set()
    for workers in (1, 3):
        workspace = case.workspace()
        arrays = preprocess(data, workspace, workers=workers)
        written.add((workspace.root / arrays.path / "images.npy").read_bytes())
    assert len(written) == 1, "three workers store other bytes than one. Draw no random numbers while reading."


def neither_name_nor_place_decides(case: Case) -> None:
    """Neither its name nor where it lies decides what is stored, or stands in it."""
    workspace = case.workspace()
    arrays = preprocess(case.made(), workspace)
    elsewhere = case.made().model_copy(update={"name": "other"})
    assert preprocess(elsewhere, workspace) == arrays, (
        "the same content under another name and in another folder is stored as something else. Leave both out of "
        "`content`, and let `example` write the same bytes each time."
    )
    for file in (workspace.root / arrays.path).iterdir():
        assert str(case.folder).encode() not in file.read_bytes(), f"{file.name} tells where the dataset lies."


def options_and_every_file_decide(case: Case) -> None:
    """Its options and the content of each file decide the identity of what is stored."""
    data = case.made()
    reader = reader_of(data)
    _, files = reader.files()
    same = dict.fromkeys(files, "a")
    seen = {reader.content(same)}
    for file in files:
        seen.add(content := reader.content({**same, file: "b"}))
        assert content != reader.content(same), f"`content` must change with the digest of {file}."
    other = "stop" if data.preprocess.on_bad_subject == "exclude" else "exclude"
    options = data.preprocess.model_copy(update={"on_bad_subject": other})
    changed = reader_of(data.model_copy(update={"preprocess": options})).content(same)
    assert changed not in seen, "`content` must change with each option."


def what_was_stored_is_known_until_a_file_changes(case: Case) -> None:
    """What was stored is known again, until a file changes."""
    data, workspace = case.made(), case.workspace()
    arrays = preprocess(data, workspace)
    listing = reader_of(data).listing()
    assert remembered_identity(data, listing, workspace) == arrays.fingerprint, "it is preprocessed anew each time."
    root, files = reader_of(data).files()
    if files:
        with (root / files[0]).open("ab") as file:
            file.write(b"\0")
        assert remembered_identity(data, listing, workspace) is None, f"a change of {files[0]} goes unnoticed."


def a_folder_that_is_gone_is_a_data_error(case: Case) -> None:
    """A folder that is gone is a `DataError`."""
    data = case.made()
    if data.in_folder():
        try:
            reader_of(data.at("/nowhere/at/all")).files()
        except DataError:
            return
        raise AssertionError("`files` of a folder that is gone must raise DataError.")


def a_few_images_are_timed(case: Case) -> None:
    """A few of its images can be timed, unless it is read as a whole."""
    data = case.made()
    timed = preprocess_some(data, reader_of(data).listing(), 2)
    wanted = 0 if data.to_time(2) is None else 2
    assert timed == wanted, f"{wanted} images were asked for, and {timed} were read. See `to_time`."


PROMISES = (
    there_is_an_example,
    stands_in_the_table_under_its_name,
    is_read_back_with_all_its_options,
    wrong_options_are_refused,
    moved_it_keeps_all_else,
    root_is_judged_before_the_other_options,
    an_option_raises_the_number_of_subjects,
    words_fit_into_a_sentence,
    holds_what_it_lists,
    images_are_stored_in_order_and_shape,
    columns_are_those_that_it_says,
    any_number_of_workers_stores_the_same,
    neither_name_nor_place_decides,
    options_and_every_file_decide,
    what_was_stored_is_known_until_a_file_changes,
    a_folder_that_is_gone_is_a_data_error,
    a_few_images_are_timed,
)
