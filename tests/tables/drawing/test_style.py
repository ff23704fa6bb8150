import pytest

from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.style import looks

DEMO = ["dense", "magnitude-20", "magnitude-50", "wanda-20", "wanda-50", "shortgpt-1", "shortgpt-2"]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_label_is_readable_on_white():
    for _, text_colour in style.HUES:
        assert 1.05 / (luminance(text_colour) + 0.05) >= 4.5  # WCAG 2, level AA


def test_dense_is_black_and_a_method_has_one_hue():
    found = looks(DEMO)
    assert found["dense"].colour == "#000000"
    hues = [found[variant].colour for variant in DEMO[1:]]
    assert hues[::2] == hues[1::2] and len(set(hues)) == 3


def test_within_a_hue_line_style_and_filling_tell_the_levels_apart():
    found = looks(DEMO)
    for low, high in zip(DEMO[1::2], DEMO[2::2], strict=True):
        assert found[low].dashes == () and found[low].filled
        assert found[high].dashes != () and not found[high].filled


def test_levels_are_ranked_by_their_number_and_not_by_their_place():
    assert looks(["w-50", "w-6", "w-20"])["w-6"].dashes == ()


def test_a_look_does_not_depend_on_chance_but_only_on_names():
    assert looks(DEMO) == looks(DEMO)
    assert list(looks(DEMO[::-1])) == DEMO[::-1]


@pytest.mark.parametrize("methods", [8, 14])
def test_no_two_of_many_variants_look_alike(methods):
    names = [f"method{chr(97 + m)}-{level}" for m in range(methods) for level in (10, 20)]
    found = looks(["dense", *names])
    signs = {(look.colour, look.marker, look.filled, look.dashes) for look in found.values()}
    assert len(signs) == len(found)
