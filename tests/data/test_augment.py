import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ctlr.data.augment import Views, apply, draw, random_views
from ctlr.data.intensity import stain
from ctlr.data.warp import affine_control, resample
from ctlr.specs import ViewsSpec

STILL = {"rotate": 0.0, "translate": 0.0, "scale": 0.0, "warp": 0.0}
EVERYTHING = ViewsSpec(crop=0.7, flip=0.5, noise=0.1, blur=1.0, brightness=0.2, contrast=0.3, bias=0.2, cutout=0.4)
PARTS = {
    "rotate": 20.0, "translate": 0.1, "scale": 0.2, "warp": 0.03, "crop": 0.6, "flip": 0.5, "noise": 0.3,
    "blur": 1.5, "brightness": 0.5, "contrast": 0.4, "bias": 0.4, "cutout": 0.5,
}  # fmt: skip
SHAPES = [(16, 20), (12, 14, 16)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**parts: float) -> ViewsSpec:
    return ViewsSpec(**(STILL | parts))


def set_to(views: Views, **numbers: object) -> Views:
    """The views with some parameters set for every image; the affine ones not named are neutral."""
    neutral = {"rotate": 0.0, "translate": 0.0, "scale": 1.0, "crop": 1.0, "crop_centre": 0.0, "flip": False}
    changed = {}
    for name, number in (neutral | numbers).items():
        old = getattr(views, name)
        changed[name] = torch.as_tensor(number, dtype=old.dtype).expand(old.shape)
    return replace(views, **changed)


def dot(shape: tuple[int, ...], *offset: int) -> Tensor:
    """(1, 1, *shape) zeros with a one at an offset from the middle."""
    image = torch.zeros(1, 1, *shape)
    image[(0, 0, *((side - 1) // 2 + step for side, step in zip(shape, offset, strict=True)))] = 1
    return image


def blob(shape: tuple[int, ...], *offset: float) -> Tensor:
    """(1, 1, *shape) Gaussian of two voxels' width at an offset from the middle."""
    steps = zip(shape, offset, strict=True)
    distances = [torch.arange(side) - (side - 1) / 2 - step for side, step in steps]
    return torch.stack(torch.meshgrid(*distances, indexing="ij")).square().sum(0).div(-8).exp()[None, None]


def centre_of_mass(images: Tensor) -> list[float]:
    """Offset from the middle, in voxels, of the first image."""
    weight = images[0, 0] / images[0, 0].sum()
    axes = range(weight.ndim)
    profiles = [weight.sum([other for other in axes if other != axis]) for axis in axes]
    return [float((profile * (torch.arange(len(profile)) - (len(profile) - 1) / 2)).sum()) for profile in profiles]


def ramps(batch: int, shape: tuple[int, ...]) -> Tensor:
    """(batch, D, *shape): channel d holds the index along axis d, which linear interpolation reproduces."""
    return torch.stack(torch.meshgrid(*(torch.arange(side) * 1.0 for side in shape), indexing="ij")).repeat(
        batch, *[1] * (len(shape) + 1)
    )


# ---------------------------------------------------------------- what moves


@pytest.mark.parametrize("shape", SHAPES)
def test_views_with_every_part_off_are_the_images_themselves(shape: tuple[int, ...]) -> None:
    images = torch.rand(2, 1, *shape)
    assert random_views(images, only(), seeded()) is images


def test_a_quarter_turn_of_a_picture_takes_the_first_axis_to_the_second() -> None:
    shape = (11, 15)
    views = set_to(draw(only(rotate=90), 1, shape, seeded()), rotate=90)
    assert torch.allclose(apply(views, dot(shape, 3, -2)), dot(shape, 2, 3), atol=1e-4)


@pytest.mark.parametrize(
    ("degrees", "lands"),
    [
        ((90, 0, 0), (1, -3, 2)),
        ((0, 90, 0), (3, 2, -1)),
        ((0, 0, 90), (-2, 1, 3)),
        ((90, 0, 90), (3, 1, 2)),  # about axis 0 first: (1, -3, 2), then about axis 2
        ((0, 0, 180), (-1, -2, 3)),
    ],
)
def test_turns_of_a_volume_are_right_handed_and_isotropic_in_voxels(
    degrees: tuple[int, ...], lands: tuple[int, ...]
) -> None:
    shape = (9, 11, 13)
    views = set_to(draw(only(rotate=90), 1, shape, seeded()), rotate=degrees)
    assert torch.allclose(apply(views, dot(shape, 1, 2, 3)), dot(shape, *lands), atol=1e-4)


def test_an_eighth_of_a_turn_keeps_the_distance_from_the_middle() -> None:
    shape = (40, 30)
    views = set_to(draw(only(rotate=90), 1, shape, seeded()), rotate=45)
    assert centre_of_mass(apply(views, blob(shape, 6, 0))) == pytest.approx([6 / math.sqrt(2)] * 2, abs=0.02)


def test_translation_is_a_share_of_each_side_towards_higher_indices() -> None:
    shape = (20, 10, 40)
    views = set_to(draw(only(translate=0.3), 1, shape, seeded()), translate=0.1)
    assert torch.allclose(apply(views, dot(shape, 1, -2, 3)), dot(shape, 3, -1, 7), atol=1e-4)


def test_beyond_the_border_the_edge_goes_on() -> None:
    views = set_to(draw(only(translate=0.5), 1, (8, 8), seeded()), translate=(0.5, 0))
    image = torch.arange(8.0).view(1, 1, 8, 1).expand(1, 1, 8, 8) + 5
    assert apply(views, image)[0, 0, :, 3].tolist() == pytest.approx([5, 5, 5, 5, 5, 6, 7, 8], abs=1e-4)


def test_scale_acts_along_each_axis_of_the_image_before_the_rotation() -> None:
    shape = (41, 41, 41)
    spec = only(rotate=90, scale=0.9)
    views = set_to(draw(spec, 1, shape, seeded()), scale=(2, 1, 0.5), rotate=(0, 0, 90))
    assert centre_of_mass(apply(views, blob(shape, 3, 4, 6))) == pytest.approx([-4, 6, 3], abs=0.02)


@pytest.mark.parametrize("shape", [(32, 16), (16, 32, 24)])
def test_a_crop_enlarges_its_box_to_the_whole_view(shape: tuple[int, ...]) -> None:
    images = torch.rand(1, 2, *shape, generator=seeded())
    centre = [0.25, -0.25, 0.0][: len(shape)]
    views = set_to(draw(only(crop=0.5), 1, shape, seeded()), crop=0.5, crop_centre=centre)
    boxes = [slice(round((0.25 + c) * side), round((0.75 + c) * side)) for c, side in zip(centre, shape, strict=True)]
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    expected = F.interpolate(images[(..., *boxes)], scale_factor=2, mode=mode, align_corners=False)
    inner = (..., *[slice(1, -1)] * len(shape))  # at the rim the view sees beyond the box
    assert torch.allclose(apply(views, images)[inner], expected[inner], atol=1e-3)


def test_a_crop_shows_the_image_after_it_was_moved() -> None:
    shape = (60, 40)
    spec = only(rotate=90, translate=0.5, crop=0.5)
    views = set_to(draw(spec, 1, shape, seeded()), rotate=90, translate=(0.1, 0), crop=0.5, crop_centre=(0, 0.1))
    # (5, 4) turns to (-4, 5), moves to (2, 5), lies at (2, 1) from the middle of the box, and is enlarged.
    assert centre_of_mass(apply(views, blob(shape, 5, 4))) == pytest.approx([4, 2], abs=0.03)


@pytest.mark.parametrize(("shape", "axis"), [((8, 9), 3), ((8, 9, 10), 2)])
def test_a_flip_mirrors_left_and_right_to_the_bit(shape: tuple[int, ...], axis: int) -> None:
    images = torch.rand(3, 2, *shape)
    views = set_to(draw(only(flip=0.5), 3, shape, seeded()), flip=[True, False, True])
    made = apply(views, images)
    assert torch.equal(made[::2], images[::2].flip(axis))
    assert torch.equal(made[1], images[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_comes_before_what_else_moves_the_image(shape: tuple[int, ...]) -> None:
    images = torch.rand(4, 1, *shape, generator=seeded())
    views = draw(ViewsSpec(flip=1), 4, shape, seeded())
    axis = 2 if len(shape) == 3 else 3
    unflipped = replace(views, flip=torch.zeros(4, dtype=torch.bool))
    # The warp is laid over what is read, so it does not follow the flip: leave it out.
    still = {"spec": ViewsSpec(flip=1, warp=0)}
    assert torch.allclose(
        apply(replace(views, **still), images), apply(replace(unflipped, **still), images.flip(axis)), atol=1e-3
    )


@pytest.mark.parametrize("points", [5, 7])
@pytest.mark.parametrize("shape", [(33, 17), (17, 9, 33)])
def test_a_warp_displaces_control_points_by_its_share_of_each_side(shape: tuple[int, ...], points: int) -> None:
    batch, share = 1500, 0.03
    made = random_views(ramps(batch, shape), only(warp=share, warp_points=points), seeded())
    middle = [(side - 1) // 2 for side in shape]  # an inner control point lies there
    moved = made[(..., *middle)] - torch.tensor(middle)
    assert (moved.std(0) / torch.tensor(shape)).tolist() == pytest.approx([share] * len(shape), rel=0.08)
    assert moved.mean(0).abs().max() < 4 * share * max(shape) / math.sqrt(batch)
    assert torch.corrcoef(moved.T).fill_diagonal_(0).abs().max() < 0.1


def test_the_default_warp_folds_nothing() -> None:
    shape = (24, 24, 24)
    inner = (slice(None), 0, *[slice(4, -4)] * 3)  # away from the border, where the edge goes on
    made = random_views(ramps(20, shape), only(warp=ViewsSpec().warp), seeded())
    assert made[inner].diff(dim=1).min() > 0.2


@pytest.mark.parametrize("points", [4, 7])
def test_the_spline_holds_an_affine_map_exactly(points: int) -> None:
    shape = (9, 12, 15)
    linear = torch.eye(3).double() + 0.2 * torch.randn(2, 3, 3, generator=seeded()).double()
    shift = torch.tensor([[1.0, -2, 0.5], [0, 0, 3]]).double()
    images = torch.rand(2, 1, *shape, generator=seeded(), dtype=torch.float64)
    halves = torch.tensor(shape).double() / 2
    # torch's convention: normalised positions, last axis first.
    theta = torch.cat([linear * halves / halves[:, None], (shift / halves)[..., None]], 2)
    theta = torch.cat([theta[:, :, :3].flip(1, 2), theta[:, :, 3:].flip(1)], 2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    assert torch.allclose(resample(images, affine_control(linear, shift, shape, points)), expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 6, 7), (6, 1, 7), (6, 7, 1), (3, 50, 4)])
def test_volumes_of_any_shape_are_read_between_slices(shape: tuple[int, ...]) -> None:
    images = ramps(1, shape)
    shift = torch.tensor([[0.25, -0.5, 0.75]]).double()
    made = resample(images, affine_control(torch.eye(3).double()[None], shift, shape))
    for axis, side in enumerate(shape):
        expected = (torch.arange(side) + shift[0, axis]).clamp(0, side - 1).float()
        assert torch.allclose(
            made[0, axis].movedim(axis, -1), expected.expand(made[0, axis].movedim(axis, -1).shape), atol=1e-4
        )


# ---------------------------------------------------------------- what voxels show


@pytest.mark.parametrize("shape", [(25, 31), (25, 27, 31)])
def test_a_blur_spreads_a_point_by_its_width_and_keeps_the_mean(shape: tuple[int, ...]) -> None:
    views = set_to(draw(only(blur=5), 1, shape, seeded()), blur=1.7)
    made = apply(views, dot(shape, *[0] * len(shape)))
    profile = made[0, 0].sum(list(range(1, len(shape))))
    places = torch.arange(shape[0]) - (shape[0] - 1) / 2
    assert float((profile * places**2).sum()) == pytest.approx(1.7**2, rel=1e-3)
    assert float(made.sum()) == pytest.approx(1, abs=1e-4)
    edge = torch.zeros(1, 1, *shape)
    edge[0, 0, 0] = 1
    assert float(apply(views, edge).mean()) == pytest.approx(float(edge.mean()), rel=1e-4)


def test_a_blur_of_no_width_changes_nothing() -> None:
    images = torch.rand(2, 1, 9, 10, 11)
    views = set_to(draw(only(blur=5), 2, (9, 10, 11), seeded()), blur=[0.0, 3.0])
    made = apply(views, images)
    assert torch.allclose(made[0], images[0], atol=1e-5)
    assert made[1].std() < 0.5 * images[1].std()


@pytest.mark.parametrize("shape", [(17, 17), (9, 17, 9)])
def test_bias_fields_are_about_one_and_leave_the_background_alone(shape: tuple[int, ...]) -> None:
    images = torch.full((2000, 1, *shape), -1.0)
    images[:, :, 1:] = 1.5
    made = random_views(images, only(bias=0.2), seeded())
    assert torch.equal(made[:, :, :1], images[:, :, :1])
    field = (made[:, :, 1:] + 1) / 2.5
    assert float(field.mean()) == pytest.approx(math.exp(0.2**2 / 2), abs=0.02)
    middle = tuple((side - 1) // 2 for side in shape)
    logs = ((made[(slice(None), 0, *middle)] + 1) / 2.5).log()
    assert float(logs.std()) == pytest.approx(0.2, rel=0.06)
    assert field.diff(dim=2).std() < 0.4 * 0.2  # smooth: neighbours differ far less than places apart


def test_contrast_stretches_about_the_mean_and_brightness_shifts() -> None:
    images = torch.rand(2, 3, 8, 8, generator=seeded())
    views = set_to(
        draw(only(contrast=0.5, brightness=1), 2, (8, 8), seeded()), contrast=[2.0, 1.0], brightness=[0.0, -0.5]
    )
    made = apply(views, images)
    assert torch.allclose(made[0].mean((1, 2)), images[0].mean((1, 2)), atol=1e-6)
    assert torch.allclose(made[0].std((1, 2)), 2 * images[0].std((1, 2)), atol=1e-5)
    assert torch.allclose(made[1], images[1] - 0.5, atol=1e-6)


def test_noise_has_its_deviation_in_every_image() -> None:
    shape = (20, 20, 20)
    views = set_to(draw(only(noise=1), 3, shape, seeded()), noise=[0.1, 0.7, 0.0])
    added = apply(views, torch.zeros(3, 1, *shape))
    assert added.std((1, 2, 3, 4)).tolist() == pytest.approx([0.1, 0.7, 0.0], rel=0.03)
    assert added[:2].mean((1, 2, 3, 4)).abs().max() < 0.04
    correlation = torch.corrcoef(added[:2].flatten(1))[0, 1]
    assert abs(float(correlation)) < 0.05


@pytest.mark.parametrize("shape", [(20, 30), (10, 20, 30)])
def test_a_cutout_sets_one_box_to_the_mean(shape: tuple[int, ...]) -> None:
    images = torch.rand(1, 2, *shape, generator=seeded())
    box = [[2, 5], [7, 17], [0, 30]][: len(shape)]
    made = apply(set_to(draw(only(cutout=0.5), 1, shape, seeded()), cutout=box), images)
    inside = (..., *(slice(*edges) for edges in box))
    assert int((made != images)[0, 0].sum()) == math.prod(last - first for first, last in box)
    for channel in range(2):
        assert torch.allclose(made[0, channel][inside], images[0, channel].mean(), atol=1e-6)


def test_a_cutout_lies_inside_and_has_the_same_share_of_every_side() -> None:
    views = draw(only(cutout=0.5), 500, (10, 20, 40), seeded())
    sides = views.cutout[..., 1] - views.cutout[..., 0]
    assert views.cutout.min() == 0
    assert (views.cutout[..., 1] <= torch.tensor([10, 20, 40])).all()
    assert sides.max(0).values.tolist() == [5, 10, 20]
    assert (sides[:, 2] - 2 * sides[:, 1]).abs().max() <= 1.5


# ---------------------------------------------------------------- what is drawn


def test_parameters_fill_their_documented_ranges() -> None:
    spec = ViewsSpec(
        rotate=30, translate=0.2, scale=0.5, crop=0.4, flip=0.3, noise=0.2, blur=3, brightness=0.6, contrast=0.7
    )
    views = draw(spec, 4000, (32, 32, 32), seeded())
    ranges = {
        "rotate": (-30, 30), "translate": (-0.2, 0.2), "scale": (math.exp(-0.5), math.exp(0.5)), "crop": (0.4, 1),
        "noise": (0, 0.2), "blur": (0, 3), "brightness": (-0.6, 0.6), "contrast": (math.exp(-0.7), math.exp(0.7)),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        drawn = getattr(views, name)
        assert float(drawn.min()) == pytest.approx(low, abs=0.01 * (high - low)), name
        assert float(drawn.max()) == pytest.approx(high, abs=0.01 * (high - low)), name
        assert low - 1e-6 <= float(drawn.min()), name
        assert float(drawn.max()) <= high + 1e-6, name
    assert float(views.flip.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert (views.crop_centre.abs() + views.crop[:, None] / 2).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_seed_makes_the_same_views_and_another_makes_others(shape: tuple[int, ...]) -> None:
    images = torch.rand(3, 1, *shape)
    once, again, other = (random_views(images, EVERYTHING, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert (once - other).abs().mean() > 0.05


@pytest.mark.parametrize("part", PARTS)
def test_images_of_a_batch_get_different_views(part: str) -> None:
    images = torch.rand(1, 1, 24, 24, generator=seeded()).repeat(6, 1, 1, 1)
    made = random_views(images, only(**{part: PARTS[part]}), seeded())
    assert len({tuple(image.flatten().tolist()) for image in made}) > 1


@pytest.mark.parametrize("part", PARTS)
def test_leaving_a_part_out_leaves_the_numbers_of_the_others(part: str) -> None:
    with_it, without = (
        draw(only(**parts), 4, (9, 9, 9), seeded()) for parts in (PARTS, PARTS | {part: 1.0 if part == "crop" else 0.0})
    )
    touched = {part, f"{part}_centre"}
    for field in fields(Views):
        if field.name not in touched | {"spec", "shape", "drop_seed", "partner", "mix"}:  # the last are of signals
            assert torch.equal(getattr(with_it, field.name), getattr(without, field.name)), field.name


@pytest.mark.parametrize("shape", SHAPES)
def test_a_view_does_not_depend_on_its_batch(shape: tuple[int, ...]) -> None:
    images = torch.rand(5, 2, *shape)
    views = draw(EVERYTHING, 5, shape, seeded())
    made = apply(views, images)
    for row in range(5):
        rows = slice(row, row + 1)
        assert torch.allclose(apply(views[rows], images[rows]), made[rows], atol=1e-5)


def test_views_do_not_depend_on_threads_or_chunks() -> None:
    images = torch.rand(40, 1, 64, 64)  # more than one chunk
    views = draw(EVERYTHING, 40, (64, 64), seeded())
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        single = apply(views, images)
        torch.set_num_threads(3)
        assert torch.allclose(apply(views, images), single, atol=1e-5)
    finally:
        torch.set_num_threads(threads)
    whole = apply(views, images.clone().requires_grad_()).detach()
    assert torch.allclose(whole, single, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_record_is_json_and_makes_the_same_views(shape: tuple[int, ...]) -> None:
    images = torch.rand(3, 1, *shape)
    views = draw(EVERYTHING, 3, shape, seeded())
    text = json.dumps(views.record())
    assert len(text) < 3000
    assert torch.equal(apply(Views.from_record(json.loads(text)), images), apply(views, images))


# ---------------------------------------------------------------- stain and turns

HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])


def test_a_stain_is_parted_as_scikit_image_does() -> None:
    """Amounts of `skimage.color.rgb2hed` 0.26; where one is below 0 it cuts off, and this does not."""
    colour = np.array([0.5, 0.3, 0.6])
    amounts = np.log(colour) / np.log(1e-6) @ np.linalg.inv(HED)
    assert amounts == pytest.approx([0.06622247, 0.0305676, 0.01847159], abs=1e-7)


def test_stains_are_multiplied_and_shifted_one_by_one() -> None:
    images = torch.rand(4, 3, 6, 5, generator=seeded()) * 0.9 + 0.05
    seeds = torch.arange(4)
    made = stain(images, seeds, 0.1)
    amounts = np.log(images.double().numpy().transpose(0, 2, 3, 1)) / np.log(1e-6) @ np.linalg.inv(HED)
    for seed, image, were in zip(seeds.tolist(), made, amounts, strict=True):
        factors, shifts = (torch.rand(2, 3, generator=seeded(seed + 2**32)) * 2 - 1).double().numpy() * 0.1
        wanted = np.clip(np.exp((were * (1 + factors) + shifts) @ HED * np.log(1e-6)), 0, 1)
        np.testing.assert_allclose(image.numpy().transpose(1, 2, 0), wanted, atol=2e-6)


def test_no_strength_leaves_the_colours() -> None:
    images = torch.rand(2, 3, 6, 5, generator=seeded())
    assert torch.allclose(stain(images, torch.arange(2), 0.0), images, atol=1e-5)


@pytest.mark.parametrize(("side", "turned"), [(6, {0, 1, 2, 3}), (5, {0, 2})])
def test_turns_are_exact_and_as_frequent_as_asked(side: int, turned: set[int]) -> None:
    image = torch.rand(1, 2, 6, side, generator=seeded())
    made = apply(draw(only(turn=0.75), 200, (6, side), seeded()), image.repeat(200, 1, 1, 1))
    quarters = [[k for k in turned if torch.equal(view, torch.rot90(image[0], k, (1, 2)))] for view in made]
    assert all(len(each) == 1 for each in quarters)
    counts = [sum(each == [k] for each in quarters) for k in sorted(turned)]
    assert counts == pytest.approx([50] * 4 if side == 6 else [50, 150], abs=20)


def test_stain_and_turn_leave_the_numbers_of_the_other_parts_and_the_generator() -> None:
    images, once, again = torch.rand(2, 3, 8, 8, generator=seeded()), seeded(1), seeded(1)
    random_views(images, EVERYTHING, once)
    random_views(images, EVERYTHING.model_copy(update={"stain": 0.1, "turn": 1.0}), again)
    assert torch.equal(once.get_state(), again.get_state())


def test_views_without_them_have_the_identity_that_they_had() -> None:
    assert ViewsSpec().identity() == "252aa860e4ba5d87427058aa"
    assert ViewsSpec(stain=0.05).words.endswith(", stain 0.05")


def test_pictures_of_one_channel_have_no_stain_and_what_are_no_pictures_neither_stain_nor_turn() -> None:
    with pytest.raises(ValueError, match="`stain` needs red, green and blue; got 1"):
        random_views(torch.rand(1, 1, 8, 8), only(stain=0.1), seeded())
    for shape in ((1, 3, 8, 8, 8), (1, 3, 8)):
        images = torch.rand(shape)
        assert torch.equal(random_views(images, only(stain=0.1, turn=1.0), seeded()), images)


# ---------------------------------------------------------------- types, gradients, errors


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_float_type_comes_back_as_it_was(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    images = torch.rand(2, 1, *shape, generator=seeded())
    spec = EVERYTHING.model_copy(update={"noise": 0.0})  # float64 has noise of its own
    views = draw(spec, 2, shape, seeded())
    made = apply(views, images.to(dtype))
    assert made.dtype == dtype
    assert made.shape == images.shape
    assert torch.allclose(made.float(), apply(views, images), atol=2e-2 if dtype == torch.bfloat16 else 2e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_autocast_does_not_coarsen_views(shape: tuple[int, ...]) -> None:
    images = torch.rand(2, 1, *shape)
    views = draw(EVERYTHING, 2, shape, seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = apply(views, images)
    assert torch.equal(made, apply(views, images))


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6)])
def test_gradients_with_respect_to_images_are_right(shape: tuple[int, ...]) -> None:
    images = torch.rand(2, 3, *shape, generator=seeded(), dtype=torch.float64, requires_grad=True)
    spec = EVERYTHING.model_copy(update={"stain": 0.1, "turn": 0.5} if len(shape) == 2 else {})
    views = draw(spec, 2, shape, seeded())
    assert torch.autograd.gradcheck(lambda batch: apply(views, batch), (images,), fast_mode=True)


def test_views_made_for_inference_first_still_let_gradients_through() -> None:
    views = draw(EVERYTHING, 1, (13, 11, 10), seeded())
    with torch.inference_mode():
        apply(views, torch.rand(1, 1, 13, 11, 10))
    images = torch.rand(1, 1, 13, 11, 10, requires_grad=True)
    apply(views, images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_strided_images_are_taken_as_they_are() -> None:
    images = torch.rand(2, 3, 8, 9, 10)
    views = draw(EVERYTHING, 2, (8, 9, 10), seeded())
    channels_last = images.to(memory_format=torch.channels_last_3d)
    assert torch.allclose(apply(views, channels_last), apply(views, images), atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("shape", SHAPES)
def test_another_device_makes_the_same_views(shape: tuple[int, ...]) -> None:
    images = torch.rand(3, 1, *shape)
    views = draw(EVERYTHING.model_copy(update={"noise": 0.0}), 3, shape, seeded())
    assert torch.allclose(apply(views, images.cuda()).cpu(), apply(views, images), atol=2e-3)


def test_views_for_other_images_are_refused() -> None:
    views = draw(ViewsSpec(), 2, (8, 8), seeded())
    with pytest.raises(ValueError, match=r"2 images of \(8, 8\); got 3 of \(8, 8\)"):
        apply(views, torch.rand(3, 1, 8, 8))
    with pytest.raises(ValueError, match=r"got 2 of \(8, 9\)"):
        apply(views, torch.rand(2, 1, 8, 9))


# ---------------------------------------------------------------- signals and points


def signals(batch: int = 4, channels: int = 3, length: int = 64) -> Tensor:
    return torch.randn(batch, channels, length, generator=seeded(7))


def test_a_shift_of_a_signal_is_a_share_of_its_time_and_its_edges_go_on() -> None:
    images = torch.arange(64.0).expand(2, 1, 64)
    views = set_to(draw(only(translate=0.5), 2, (64,), seeded()), translate=0.25)
    expected = (torch.arange(64.0) - 16).clamp(0, 63)
    assert apply(views, images)[0, 0] == pytest.approx(expected, abs=1e-3)


def test_a_crop_of_a_signal_is_stretched_to_its_whole_time() -> None:
    images = torch.arange(64.0).expand(1, 1, 64)
    views = set_to(draw(only(crop=0.5), 1, (64,), seeded()), crop=0.5, crop_centre=0.0)
    assert apply(views, images)[0, 0] == pytest.approx(31.5 + (torch.arange(64.0) - 31.5) / 2, abs=1e-3)


def test_a_flip_of_a_signal_reverses_its_time_to_the_bit() -> None:
    images = signals()
    assert torch.equal(random_views(images, only(flip=1.0), seeded()), images.flip(2))


def test_contrast_scales_the_amplitude_of_a_signal_about_its_mean() -> None:
    images = signals(1)
    views = replace(draw(only(contrast=0.5), 1, (64,), seeded()), contrast=torch.tensor([2.0]))
    mean = images.mean(2, keepdim=True)
    assert torch.allclose(apply(views, images), mean + 2 * (images - mean), atol=1e-5)


def test_dropped_channels_are_zero_as_often_as_said_and_one_is_kept() -> None:
    images = torch.ones(4000, 10, 16)
    kept = random_views(images, only(drop=0.3), seeded())[:, :, 0]
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert kept.mean() == pytest.approx(0.7, abs=0.01)
    nearly_all = random_views(images, only(drop=0.99), seeded())[:, :, 0].sum(1)
    assert nearly_all.min() == 1
    assert nearly_all.max() <= 4


def test_a_share_of_another_signal_of_the_batch_is_mixed_in() -> None:
    images = signals(8)
    views = draw(only(mix=0.4), 8, (64,), seeded())
    assert (views.mix >= 0).all()
    assert (views.mix < 0.4).all()
    expected = torch.stack([
        (1 - share) * own + share * images[other]
        for own, share, other in zip(images, views.mix.tolist(), views.partner.tolist(), strict=True)
    ])  # fmt: skip
    assert torch.allclose(apply(views, images), expected, atol=1e-6)


def test_points_are_jittered_alone_by_a_tenth_unless_the_file_says_otherwise() -> None:
    points = torch.zeros(20_000, 2)
    usual, told = (random_views(points, spec, seeded()) for spec in (ViewsSpec(), ViewsSpec(noise=1.0)))
    assert usual.square().mean() == pytest.approx(0.1**2 / 3, rel=0.03)  # deviations uniform in 0..0.1
    assert told.square().mean() == pytest.approx(1 / 3, rel=0.03)
    assert ViewsSpec().at(0).words == "noise 0.1"


def test_what_images_do_not_have_is_off_and_the_rest_as_it_was() -> None:
    everything = EVERYTHING.model_copy(update={"drop": 0.2, "mix": 0.3})
    assert everything.at(1).words == (
        "translate 0.04, scale 0.06, warp 0.01, crop 0.7, flip 0.5, noise 0.1, blur 1, brightness 0.2, contrast 0.3, "
        "cutout 0.4, drop 0.2, mix 0.3"
    )
    assert everything.at(0).words == "noise 0.1, drop 0.2, mix 0.3"
    assert everything.at(2) == everything.at(3) == EVERYTHING
    assert EVERYTHING.at(3) is EVERYTHING


def test_new_parts_leave_the_identity_of_views_without_them_alone() -> None:
    assert "drop" not in ViewsSpec().model_dump_json()
    assert ViewsSpec().identity() == "252aa860e4ba5d87427058aa"
    assert ViewsSpec(drop=0.5).identity() != ViewsSpec().identity()


@pytest.mark.parametrize("shape", [(), (64,)])
def test_views_of_signals_and_points_are_the_same_from_a_seed_and_from_their_record(shape: tuple[int, ...]) -> None:
    images = torch.randn(4, 3, *shape, generator=seeded(7))
    spec = EVERYTHING.model_copy(update={"drop": 0.2, "mix": 0.3})
    views = draw(spec, 4, shape, seeded())
    record = json.loads(json.dumps(views.record()))
    assert torch.equal(apply(Views.from_record(record), images), apply(views, images))
    assert torch.equal(random_views(images, spec, seeded()), apply(views, images))
    assert not torch.equal(random_views(images, spec, seeded(1)), apply(views, images))


@pytest.mark.parametrize("shape", [(), (16,)])
def test_gradients_pass_through_views_of_signals_and_points(shape: tuple[int, ...]) -> None:
    images = torch.randn(2, 2, *shape, generator=seeded(7), dtype=torch.float64).requires_grad_()
    views = draw(EVERYTHING.model_copy(update={"mix": 0.3}), 2, shape, seeded())
    assert torch.autograd.gradcheck(lambda each: apply(views, each), images)
