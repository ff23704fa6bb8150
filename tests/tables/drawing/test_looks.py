import pytest

from tests.tables.pair_results import KEPT, WAYS
from tests.tables.pair_results import REMOVED as SHARES
from tests.tables.sources import named_ways
from workflow_scripts.tables.drawing.looks import HOLLOW, HUES, looks

REMOVED = {
    "dense": 0.0, "magnitude-20": 0.2, "magnitude-50": 0.5, "wanda-20": 0.2, "wanda-50": 0.5,
    "shortgpt-1": 0.11, "shortgpt-2": 0.22,
}  # fmt: skip


def looks_of(removed):
    return looks(named_ways(removed), removed, "dense")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_label_is_readable_on_white():
    for _, text_colour in HUES:
        assert 1.05 / (luminance(text_colour) + 0.05) >= 4.5  # WCAG 2, level AA


def test_dense_is_black_and_a_method_has_one_hue_and_one_marker():
    found = looks_of(REMOVED)
    assert found["dense"].colour == "#000000"
    signs = [(found[variant].hue, found[variant].marker) for variant in [*REMOVED][1:]]
    assert signs[::2] == signs[1::2] and len(set(signs)) == 3


def test_the_more_is_removed_the_darker_is_the_shade_whatever_the_names_say():
    shares = {"dense": 0.0, "w-a": 0.3, "w-b": 0.1, "w-c": 0.2, "w-d": 0.6}
    found = looks_of(shares)
    pruned = sorted([*shares][1:], key=shares.get)
    lightness = [luminance(found[variant].colour) for variant in pruned]
    assert lightness == sorted(lightness, reverse=True) and len(set(lightness)) == 4


def test_a_level_has_the_same_place_among_the_shades_of_every_method():
    found = looks_of({"dense": 0.0, "a-10": 0.1, "a-30": 0.3, "a-50": 0.5, "b-30": 0.3})
    assert found["a-30"].colour == found["a-30"].hue and found["b-30"].colour == found["b-30"].hue


def test_a_family_has_the_same_hue_whichever_are_run_and_shades_by_size():
    removed = {"dense": 0.0, "flap-20": 0.1, "slicegpt-20": 0.3, "shortgpt-1": 0.2}
    ways = named_ways(removed)
    found = looks(ways, removed, "dense", "family", ("unstructured", "depth", "width"))
    assert [found[v].hue for v in [*removed][1:]] == [HUES[2][0], HUES[2][0], HUES[1][0]]
    assert luminance(found["flap-20"].colour) > luminance(found["slicegpt-20"].colour)
    assert found["flap-20"].marker != found["slicegpt-20"].marker


def test_what_was_trained_after_pruning_has_its_starts_marker_hollow_and_other_dashes():
    removed = {name: SHARES[name.split("-")[0]] for name in KEPT}
    found = looks(WAYS, removed, "dense")
    for name in ("wanda-50", "shortgpt-1", "magnitude-70"):
        start, after = found[name], found[f"{name}-lora"]
        assert (start.hue, start.marker) == (after.hue, after.marker)
        assert after.marker_fill == HOLLOW != start.marker_fill and start.dashes != after.dashes
    control = found["dense-lora"]
    assert (control.colour, control.marker, control.fill) == ("#000000", "o", HOLLOW)
    assert len({(look.colour, look.marker, look.dashes) for look in found.values()}) == len(KEPT)


@pytest.mark.parametrize("methods", [8, 14])
def test_no_two_of_many_variants_look_alike(methods):
    removed = {
        f"{chr(97 + m)}-{way}-{level}": level / 100
        for m in range(methods)
        for way in ("owl", "layerif", "mlp")
        for level in (10, 20, 30, 40, 50, 60)
    }
    found = looks_of({"dense": 0.0, **removed})
    signs = {(look.colour, look.marker, look.dashes) for look in found.values()}
    assert len(signs) == len(found)
