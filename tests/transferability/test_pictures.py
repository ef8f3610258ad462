from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ctlr.errors import ConfigError, WorkspaceError
from ctlr.transferability import pictures
from ctlr.transferability.pictures import Pictures, embed, pictures_bytes, pictures_of, read_pictures

CENTRES = np.eye(4, 6, dtype=np.float32) * 20


def clouds(n: int = 30) -> list[NDArray[np.float32]]:
    """Four classes in six dimensions, far apart."""
    rng = np.random.default_rng(0)
    return [(centre + rng.normal(size=(n, 6))).astype(np.float32) for centre in CENTRES]


def prepared(n: int = 30, *, components: int = 6, seed: int = 0) -> Pictures:
    axes = np.eye(6, 12, dtype=np.float32)[:components]
    return pictures_of(
        ("a", "b"), ("c", "d"), [cloud[:, :components] for cloud in clouds(n)], mean=np.arange(12, dtype=np.float32),
        axes=axes, explained=np.array([0.5, 0.2, 0.1, 0.05, 0.02, 0.01])[:components], shape=(1, 3, 4), seed=seed,
    )  # fmt: skip


def test_images_and_points_are_those_of_the_components() -> None:
    found = prepared(5)
    assert (found.mean_image[0] == np.arange(12).reshape(3, 4)).all()
    assert found.eigen_images.shape == (6, 1, 3, 4)
    np.testing.assert_array_equal(found.points, np.concatenate(clouds(5))[:, :2])
    assert found.classes.tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    assert found.from_target.tolist() == [False] * 10 + [True] * 10


def test_perplexities_without_room_for_their_neighbourhoods_are_left_out() -> None:
    found = prepared(10)  # 40 images
    assert [each.perplexity for each in found.embeddings] == [5, 10]
    assert found.left_out == (20, 30, 50)
    few = prepared(3)
    assert (few.embeddings, few.left_out) == ((), (5, 10, 20, 30, 50))


def test_as_many_of_each_class_are_drawn_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "POINTS", 24)
    found = prepared(10)
    assert np.bincount(found.classes).tolist() == [6, 6, 6, 6]
    assert found.images == 40


def test_classes_that_lie_apart_stay_apart_in_the_plane() -> None:
    (embedding,) = prepared(8).embeddings[:1]
    of = np.repeat(np.arange(4), 8)
    distances = np.linalg.norm(embedding.points[:, None] - embedding.points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (of[distances.argmin(1)] == of).all()


def test_equal_seeds_give_equal_planes() -> None:
    points = np.concatenate(clouds(8))
    first = embed(points, 5, seed=1)
    np.testing.assert_array_equal(embed(points, 5, seed=1), first)
    assert first.shape == (32, 2)


def test_one_component_makes_no_picture() -> None:
    with pytest.raises(ConfigError, match="pictures need two components; got 1. Ask for more"):
        prepared(10, components=1)


def test_pictures_survive_the_disk(tmp_path: Path) -> None:
    before, path = prepared(10), tmp_path / "pictures.safetensors"
    path.write_bytes(pictures_bytes(before))
    after = read_pictures(path)
    for name, value in vars(before).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(after, name), value)
        elif name != "embeddings":
            assert getattr(after, name) == value
    assert [each.perplexity for each in after.embeddings] == [5, 10]
    np.testing.assert_array_equal(after.embeddings[1].points, before.embeddings[1].points)
    assert pictures_bytes(after) == pictures_bytes(before)


@pytest.mark.parametrize("content", [b"", b"no tensors", pictures_bytes(prepared(3))[:-8]])
def test_a_damaged_file_is_named_with_the_remedy(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pictures.safetensors"
    path.write_bytes(content)
    with pytest.raises(
        WorkspaceError, match=r"pictures.safetensors cannot be read .* `ctlr resume` then makes it anew"
    ):
        read_pictures(path)


def test_a_volume_shows_its_middle_slice_with_the_front_up() -> None:
    volume = np.arange(24, dtype=np.float32)  # (1, 2, 3, 4): left to right, back to front, foot to head
    found = pictures_of(
        ("a",), ("b",), [cloud[:, :2] for cloud in clouds(4)[:2]], mean=volume, axes=np.eye(2, 24, dtype=np.float32),
        explained=np.array([0.5, 0.5]), shape=(1, 2, 3, 4), seed=0,
    )  # fmt: skip
    assert found.mean_image[0].tolist() == [[10, 22], [6, 18], [2, 14]]


def test_large_images_are_averaged_down() -> None:
    mean = np.kron(np.arange(4, dtype=np.float32).reshape(1, 2, 2), np.ones((1, 112, 112), np.float32)).ravel()
    found = pictures_of(
        ("a",), ("b",), [cloud[:, :2] for cloud in clouds(4)[:2]], mean=mean,
        axes=np.eye(2, mean.size, dtype=np.float32), explained=np.array([0.5, 0.5]), shape=(1, 224, 224), seed=0,
    )  # fmt: skip
    assert found.mean_image.shape == (1, 112, 112)
    assert (found.mean_image[0, [0, 0, 111, 111], [0, 111, 0, 111]] == [0, 1, 2, 3]).all()
    assert found.eigen_images[0, 0, 0, 0] == pytest.approx(0.25)
