"""The palette: text readable by WCAG AA, shades apart for eyes that see no red or no green."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from sinks.board.server import STATIC

AA_TEXT = 4.5
AA_LARGE = 3.0

TEXT_ON = {
    "ink": ("bg", "surface", "raised", "near-bg", "off-bg"),
    "ink-2": ("bg", "surface", "raised", "near-bg", "off-bg"),
    "mute": ("surface", "raised"),
    "on": ("surface", "raised"),
    "near": ("surface", "raised", "near-bg"),
    "off": ("surface", "raised", "off-bg"),
    "banner-ink": ("banner",),
}
SHAPES_ON = {"focus": ("bg", "surface", "near-bg", "off-bg"), "data-1": ("surface",)}

Rgb = tuple[float, float, float]


def themes() -> dict[str, dict[str, str]]:
    css = (STATIC / "css" / "theme.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6});", block))
        for block in re.findall(r":root[^{]*\{([^}]*)\}", css)
    )
    return {"light": light, "dark": {**light, **dark}}


def linear(colour: str) -> Rgb:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return r, g, b


def luminance(rgb: Rgb) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def contrast(a: Rgb, b: Rgb) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira and Fernandes 2009, severity 1.0.
BLINDNESS = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
               (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
               (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
               (0.004733, 0.691367, 0.303900)),
}  # fmt: skip


def seen_by(kind: str, rgb: Rgb) -> Rgb:
    r, g, b = (
        min(1.0, max(0.0, sum(m * c for m, c in zip(row, rgb, strict=True))))
        for row in BLINDNESS[kind]
    )
    return r, g, b


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"),
    [(ink, ground, AA_TEXT) for ink, grounds in TEXT_ON.items() for ground in grounds]
    + [(ink, ground, AA_LARGE) for ink, grounds in SHAPES_ON.items() for ground in grounds],
)
def test_contrast(theme: str, ink: str, ground: str, least: float) -> None:
    palette = themes()[theme]
    assert contrast(linear(palette[ink]), linear(palette[ground])) >= least


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", BLINDNESS)
def test_a_tile_off_target_differs_from_a_plain_one(theme: str, kind: str) -> None:
    """Number and edge change with the target; both must be apart from ink for every eye."""
    palette = {name: seen_by(kind, linear(value)) for name, value in themes()[theme].items()}
    for level in ("near", "off"):
        ink, other = palette["ink"], palette[level]
        distance = sum((a - b) ** 2 for a, b in zip(ink, other, strict=True)) ** 0.5
        assert distance > 0.1, f"{level} looks like ink to a {kind}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_shades_of_data_are_steps_of_lightness(theme: str) -> None:
    palette = themes()[theme]
    shades = [luminance(linear(palette[f"data-{n}"])) for n in (1, 2, 3, 4)]
    assert shades == sorted(shades, reverse=theme == "dark")
    for a, b in combinations(shades, 2):
        assert abs(a - b) > 0.02


def test_the_dark_theme_names_every_colour_of_its_own() -> None:
    css = (STATIC / "css" / "theme.css").read_text()
    light, dark = (
        set(re.findall(r"--([\w-]+):", block))
        for block in re.findall(r":root[^{]*\{([^}]*)\}", css)
    )
    assert light == dark


def test_no_colour_outside_the_palette() -> None:
    css = (STATIC / "css" / "board.css").read_text()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s,)])", css) == []
