import io

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.contracts import DataSpec, Figure, Images, Matrix, Plane, Surface
from genlab.gallery.drawing import Grid, draw, how_many, image_pixels, sample_grid, thumbnail
from genlab.gallery.pixels import ABOVE, BELOW, GAP, MISSING, columns_for, magnification, paint
from genlab.gallery.plane import Window, panel, window_of

BINARY = DataSpec("bits", "fixed", (1, 8, 8), "binary")
GREY = DataSpec("grey", "256 levels", (1, 28, 28), "levels", 256)
COLOUR = DataSpec("colour", "256 levels", (3, 16, 16), "levels", 256)
TABLE = DataSpec("table", "fixed", (16,), "binary")
PLANE = DataSpec("moons", "standardised", (2,), "real")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(opened(data).convert("RGB"))


def uniform(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("side", "factor"), [(8, 6), (28, 2), (16, 3), (64, 1)])
def test_small_images_are_magnified_to_a_comfortable_size(side, factor):
    assert magnification(side, side) == factor


@pytest.mark.parametrize("spec", [BINARY, GREY, COLOUR])
def test_a_grid_shows_every_pixel_of_every_image(spec):
    x = (uniform(24, *spec.shape) * (spec.levels - 1)).round() / (spec.levels - 1)
    picture = pixels(sample_grid(x, spec).still)
    _, height, width = spec.shape
    f = magnification(height, width)
    assert picture.shape == (3 * (f * height + GAP) + GAP, 8 * (f * width + GAP) + GAP, 3)
    for i in (0, 9, 23):
        y, x0 = GAP + i // 8 * (f * height + GAP), GAP + i % 8 * (f * width + GAP)
        cell = picture[y : y + f * height, x0 : x0 + f * width]
        want = (255 * x[i]).round().byte().expand(3, -1, -1).permute(1, 2, 0).numpy()
        assert (cell[::f, ::f] == want).all()
        assert (cell[f - 1 :: f, f - 1 :: f] == want).all()


def test_the_range_is_fixed_never_fitted():
    faint = torch.full((1, 1, 1, 8, 8), 0.5)
    faint[..., 0, 0] = 0.51
    shown = pixels(draw(Figure("f", "", Images(faint))).still)[GAP:-GAP, GAP:-GAP]
    assert set(np.unique(shown)) == {128, 130}


def test_values_out_of_range_are_marked_and_counted():
    x = torch.full((1, 1, 1, 8, 8), 0.5)
    x[..., 0, 0], x[..., 1, 0], x[..., 2, 0] = 1.5, -0.5, float("nan")
    drawn = draw(Figure("f", "", Images(x)))
    cell = pixels(drawn.still)[GAP:, GAP:]
    assert [tuple(cell[6 * row, 0]) for row in range(3)] == [ABOVE, BELOW, MISSING]
    assert "3 of 64 values" in drawn.note


def test_rounding_is_not_out_of_range():
    assert paint(np.asarray([[[1 + 1e-6, -1e-6]]])).note == ""


def test_animated_images_become_frames_and_a_strip():
    drawn = draw(Figure("chain", "", Images(uniform(6, 24, 1, 8, 8)), animated=True))
    still, apng, gif, webp, sheet = drawn.pictures
    assert [p.suffix for p in drawn.pictures] == [
        ".png",
        ".apng",
        ".gif",
        ".webp",
        ".frames.png",
    ]
    assert drawn.sheet == Grid(24, 6, opened(apng.data).width, opened(apng.data).height)
    assert opened(sheet.data).size == (6 * drawn.sheet.width, 4 * drawn.sheet.height)
    assert all(opened(moving.data).n_frames == 24 for moving in (apng, gif, webp))
    assert opened(still.data).width == 12 * (48 + GAP) + GAP
    assert "12 of 24 frames" in drawn.note
    assert opened(apng.data).info["duration"] > 0


def test_the_frames_follow_the_columns_in_time():
    x = torch.linspace(0, 1, 5)[None, :, None, None, None].expand(2, 5, 1, 8, 8)
    drawn = draw(Figure("chain", "", Images(x), animated=True))
    sheet = np.asarray(opened(drawn.pictures[-1].data).convert("L"))
    assert drawn.sheet.columns == 3
    places = [(t // 3 * drawn.sheet.height, t % 3 * drawn.sheet.width) for t in range(5)]
    assert [sheet[y + GAP + 5, x + GAP + 5] for y, x in places] == [0, 64, 128, 191, 255]
    for picture in drawn.pictures[1:-1]:
        animation = opened(picture.data)
        seen = []
        for t in range(5):
            animation.seek(t)
            seen.append(animation.convert("L").getpixel((GAP + 5, GAP + 5)))
        assert seen == [0, 64, 128, 191, 255]


def test_an_animated_plane_keeps_its_axes():
    points = torch.cat([uniform(1, 200, 2) - 0.5, 4 * uniform(1, 200, 2)])
    window = window_of(points.double().flatten(0, 1).numpy())
    drawn = draw(Figure("flow", "", Plane(points, points[:, :9], points[:, :9]), animated=True))
    frames = opened(drawn.pictures[1].data)
    assert frames.n_frames == 2
    assert window.inside(points.double().flatten(0, 1).numpy()).mean() > 0.97


def test_points_are_drawn_where_they_are_and_up_is_up():
    window = Window((0.0, 0.0), 1.0)
    picture = panel(np.asarray([[0.5, 0.5]]), window, side=100).astype(int)
    blue = picture[..., 2] - picture[..., 0] > 60
    y, x = np.argwhere(blue).mean(axis=0)
    assert abs(x - (34 + 75)) < 1.5
    assert abs(y - (8 + 25)) < 1.5


def test_points_outside_the_frame_are_counted():
    x = torch.zeros(10, 2)
    x[0, 0], x[1, 1] = 50.0, float("nan")
    assert "2 of 10 points" in sample_grid(x, PLANE).note


def test_a_matrix_prints_its_scale_and_marks_what_is_no_number():
    values = torch.tensor([[0.0, 1.0], [2.0, float("inf")]])
    picture = pixels(draw(Figure("m", "", Matrix(values))).still)
    assert tuple(picture[8, 0]) == (0x44, 0x01, 0x54)
    assert tuple(picture[8 + 24, 0]) == (0xFD, 0xE7, 0x25)
    assert tuple(picture[8 + 24, 24]) == MISSING
    assert (picture[:, 60:] < 100).all(axis=2).any()  # printed numbers


@pytest.mark.parametrize(
    "content",
    [
        Images(uniform(2, 2, 2, 8, 8)),
        Images(uniform(3, 8, 8)),
        Plane(uniform(5, 2)),
        Matrix(uniform(3)),
    ],
)
def test_wrong_shapes_are_refused(content):
    with pytest.raises(ValueError, match="not"):
        draw(Figure("wrong", "", content))


@pytest.mark.parametrize("animated", [False, True])
def test_the_same_figure_gives_the_same_bytes(animated):
    figure = Figure("f", "", Images(uniform(3, 4, 3, 8, 8)), animated)
    about = {"run": "abc", "seed": "0", "command": "genlab train data=“ü”"}
    first, second = draw(figure, about), draw(figure, about)
    assert first == second
    assert opened(first.still).text == about


def test_other_data_have_pictures_too():
    assert (
        opened(sample_grid((uniform(64, 16) < 0.5).float(), TABLE).still).height == 64 * 7 + 2 * GAP
    )
    x = uniform(how_many(PLANE), 2)
    assert opened(sample_grid(x, PLANE).still).size == opened(sample_grid(x[:9], PLANE).still).size
    real = DataSpec("real", "standardised", (1, 8, 8), "real")
    assert "Standardised" in sample_grid(uniform(8, 1, 8, 8), real).note


def test_real_tables_are_drawn_on_a_fixed_scale():
    table = DataSpec("measures", "standardised", (3,), "real")
    drawn = sample_grid(torch.tensor([[-3.0, 0.0, 3.0]]), table)
    picture = np.asarray(opened(drawn.still).convert("L"))
    cells = picture[GAP:-GAP, GAP:-GAP].reshape(10, 3, 10).mean((0, 2))
    assert cells == pytest.approx([0, 127.5, 255], abs=1)
    assert "Standardised values from −3 (black) to 3 (white)." in drawn.note
    assert "1 of 3 values" in sample_grid(torch.tensor([[-3.0, 0.0, 30.0]]), table).note


@pytest.mark.parametrize("spec", [BINARY, GREY, TABLE, PLANE])
def test_a_thumbnail_fits_into_a_tile(spec):
    width, height = opened(thumbnail(uniform(64, *spec.shape).round(), spec)).size
    assert width <= 322
    assert height <= 240


def test_single_images_are_pixel_for_pixel():
    x = uniform(3, 1, 28, 28).round()
    files = image_pixels(x, GREY)
    assert len(files) == 3
    assert (np.asarray(opened(files[1])) == 255 * x[1, 0].numpy()).all()


def test_grids_prefer_full_rows():
    assert [columns_for(n) for n in (1, 6, 8, 9, 16, 64)] == [1, 3, 4, 3, 4, 8]


def test_matrices_side_by_side_are_on_one_scale():
    values = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])
    picture = pixels(draw(Figure("two", "", Matrix(values))).still)
    assert tuple(picture[20, 10]) == (0x44, 0x01, 0x54)
    assert tuple(picture[20, 4 * 24 + 8 + 10]) == (0xFD, 0xE7, 0x25)


def test_a_surface_has_its_first_row_at_the_top_and_points_beside_it():
    values = torch.zeros(10, 10)
    values[0] = 2.0
    drawn = draw(
        Figure("density", "", Surface(values, 3.0, torch.tensor([[0.0, 0.0], [9.0, 0.0]])))
    )
    picture = pixels(drawn.still)
    assert tuple(picture[8 + 5, 34 + 150]) == (0xFD, 0xE7, 0x25)
    assert tuple(picture[8 + 290, 34 + 150]) == (0x44, 0x01, 0x54)
    assert "Yellow is 2" in drawn.note
    assert "1 of 2 points lie outside" in drawn.note
    with pytest.raises(ValueError, match="a surface has values"):
        draw(Figure("density", "", Surface(torch.zeros(3), 3.0, torch.zeros(1, 2))))
