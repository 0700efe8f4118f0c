"""Crops exactly as published: where each pixel of a crop comes from, what is black, how numbers are scaled."""

from __future__ import annotations

import numpy as np
import pytest

from backend.published import crops

WIDTH, HEIGHT = 640, 480


def ramp() -> np.ndarray:
    """A picture whose red is x / 4 and whose green is y / 4."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x / 4, y / 4, np.zeros_like(x)], -1).round().astype(np.uint8)


def undone(planes: np.ndarray) -> np.ndarray:
    """(3, 256, 192) -> (256, 192, 3) in 0..255."""
    return (planes.transpose(1, 2, 0) * crops.STD + crops.MEAN) * 255


def test_boxes_are_squares_at_three_to_four() -> None:
    assert crops.square(np.array([100.0, 50, 160, 250])).tolist() == [130, 150, 200]  # tall: its height
    assert crops.square(np.array([100.0, 50, 400, 250])).tolist() == [250, 150, 400]  # wide: 4/3 of its width
    assert crops.square(np.array([100.0, 50, 160, 250]), 1.2)[2] == pytest.approx(240)


@pytest.mark.parametrize("crop", [crops.humans4d, crops.whmr])
def test_4d_humans_maps_the_box_onto_256_pixels(crop) -> None:
    found = undone(crop(ramp(), np.array([300.0, 240, 256])))
    assert found.shape == (256, 192, 3)
    # Column 0 of what is looked at is column 32 of the square; pixel (128, 128) of the square is the centre.
    np.testing.assert_allclose(found[128, 96, :2], [300 / 4, 240 / 4], atol=0.6)
    np.testing.assert_allclose(found[10, 0, :2], [(300 - 96) / 4, (240 - 118) / 4], atol=0.6)


def test_gvhmr_maps_the_box_onto_255_pixels_of_half_the_picture() -> None:
    side = 300.0
    found = undone(crops.gvhmr(ramp(), np.array([300.0, 240, side])))
    for row, column in ((0, 0), (100, 50), (255, 191)):
        x = 300 - side / 2 + (column + 32) * side / 255
        y = 240 - side / 2 + row * side / 255
        # Half the picture: its pixel i covers 2 i and 2 i + 1.
        np.testing.assert_allclose(found[row, column, :2], [(x + 0.5) / 4, (y + 0.5) / 4], atol=0.8)


def test_what_lies_beyond_the_picture_is_black_before_it_is_normalised() -> None:
    for crop in (crops.humans4d, crops.gvhmr):
        planes = crop(np.full((HEIGHT, WIDTH, 3), 255, np.uint8), np.array([0.0, 240, 400]))
        np.testing.assert_allclose(planes[:, 128, 0], -crops.MEAN / crops.STD, atol=1e-5)
        np.testing.assert_allclose(planes[:, 128, 180], (1 - crops.MEAN) / crops.STD, atol=1e-5)


def test_large_people_are_smoothed_before_they_are_shrunk() -> None:
    """4D-Humans: sigma (side / 512 - 1) / 2 on the picture; below a side of 563 nothing."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1600, 1600, 3), np.uint8)
    spread = {side: undone(crops.humans4d(noise, np.array([800.0, 800, side]))).std() for side in (500.0, 1500.0)}
    sigma = (1500 / 512 - 1) / 2
    alone = noise.std() / (2 * np.sqrt(np.pi) * sigma)  # of white noise under a Gaussian
    assert spread[1500.0] == pytest.approx(alone, rel=0.25) and spread[500.0] > 2 * spread[1500.0]


def test_gvhmr_smooths_large_people_in_half_the_picture_by_five_pixels() -> None:
    import cv2

    noise = np.random.default_rng(2).integers(0, 256, (2100, 2100, 3), np.uint8)
    side = 2000.0
    found = crops.gvhmr(noise, np.array([1050.0, 1050, side]))
    half = cv2.resize(noise, (1050, 1050), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(half, (5, 5), (side / 2 / 512 - 1) / 2)
    to = np.float32([[0, 0], [255, 0], [127.5, 127.5]])  # of two corners of the box and its centre
    matrix = cv2.getAffineTransform(np.float32([[25, 25], [1025, 25], [525, 525]]), to)
    expected, rough = (
        crops.planes(cv2.warpAffine(picture, matrix, (256, 256), flags=cv2.INTER_LINEAR)[:, 32:224])
        for picture in (smooth, half)
    )
    np.testing.assert_allclose(found, expected, atol=0.06)
    assert undone(rough).std() > 1.3 * undone(found).std()


def test_w_hmr_never_smooths() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (1600, 1600, 3), np.uint8)
    box = np.array([800.0, 800, 1500])
    assert undone(crops.whmr(noise, box)).std() > 2 * undone(crops.humans4d(noise, box)).std()


def test_pictures_are_normalised_with_imagenets_numbers() -> None:
    """Red, green, blue: less .485, .456, .406, over .229, .224, .225."""
    grey = np.full((700, 900, 3), [51, 102, 153], np.uint8)
    expected = [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.6 - 0.406) / 0.225]
    box = np.array([450.0, 350, 300])
    for planes in (crops.camcalib(grey), crops.humans4d(grey, box), crops.gvhmr(grey, box), crops.whmr(grey, box)):
        np.testing.assert_allclose(planes[:, 100, 100], expected, atol=1e-5)


def test_smoothing_only_around_the_box_is_smoothing_everywhere() -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (900, 900, 3), np.uint8)
    box = np.array([150.0, 700, 600])
    found = crops.humans4d(noise, box)
    import cv2

    sigma = (600 / 512 - 1) / 2
    radius = int(4 * sigma + 0.5)
    size = 2 * radius + 1
    whole = cv2.GaussianBlur(noise.astype(np.float32), (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
    matrix = np.array([[256 / 600, 0, 128 - 150 * 256 / 600], [0, 256 / 600, 128 - 700 * 256 / 600]])
    expected = crops.planes(cv2.warpAffine(whole, matrix, (256, 256), flags=cv2.INTER_LINEAR)[:, 32:224])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_camcalib_sees_the_whole_picture_its_shorter_side_600_pixels() -> None:
    assert crops.camcalib(ramp()).shape == (3, 600, 800)
    assert crops.camcalib(np.zeros((1081, 1921, 3), np.uint8)).shape == (3, 600, 1066)
    assert crops.camcalib(np.zeros((1920, 1080, 3), np.uint8)).shape == (3, 1066, 600)


def test_pictures_are_resized_as_pillow_does_it() -> None:
    """Recorded from Pillow 13.0: `Image.fromarray(noise).resize(size, Image.BILINEAR)`."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
    assert crops.resized(noise, 5, 4).tolist() == [
        [[116, 151, 140], [142, 172, 134], [134, 146, 150], [104, 154, 116], [117, 119, 110]],
        [[140, 100, 137], [154, 131, 97], [152, 109, 143], [113, 109, 150], [122, 96, 167]],
        [[115, 143, 137], [113, 119, 110], [124, 100, 128], [119, 134, 79], [142, 122, 133]],
        [[149, 105, 132], [100, 110, 135], [88, 124, 118], [131, 139, 98], [145, 87, 143]],
    ]
    assert crops.resized(noise, 17, 11)[3, :6].tolist() == [
        [126, 226, 116], [106, 89, 114], [109, 71, 153], [144, 149, 191], [216, 129, 103], [183, 171, 81]
    ]  # fmt: skip
    # What is shrunk is averaged first: noise of a picture four times as large does not come through.
    large = np.random.default_rng(1).integers(0, 256, (2400, 2400, 3), np.uint8)
    assert undone(crops.camcalib(large)).std() < 0.3 * large.std()
