import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from ctlr.report.distances.drawings import MOST_CLASSES, distance_drawings
from ctlr.report.distances.embeddings import CAVEATS
from ctlr.report.theme.standalone import standalone
from ctlr.transferability.pictures import Embedding, Pictures

EVERY = {
    "eigen-images", "explained-variance", "components-by-domain", "components-by-class", "tsne-by-domain",
    "tsne-by-class",
}  # fmt: skip


def pictures(
    *, source: int = 2, target: int = 3, each: int = 6, channels: int = 1, perplexities: tuple[int, ...] = (5, 10)
) -> Pictures:
    rng = np.random.default_rng(0)
    count = (source + target) * each
    return Pictures(
        source=tuple(f"cat {i}" for i in range(source)), target=tuple(f"dog {i}" for i in range(target)),
        mean_image=rng.random((channels, 8, 8), np.float32),
        eigen_images=rng.normal(size=(5, channels, 8, 8)).astype(np.float32),
        explained=np.array([0.4, 0.3, 0.1, 0.1, 0.05]), images=4 * count,
        classes=np.repeat(np.arange(source + target), each), points=rng.normal(size=(count, 2)).astype(np.float32),
        embeddings=tuple(Embedding(p, rng.normal(size=(count, 2)).astype(np.float32)) for p in perplexities),
        left_out=(50,),
    )  # fmt: skip


def words(svg: str) -> str:
    """What a drawing says, as one line."""
    return " ".join("".join(ET.fromstring(svg).itertext()).split())


def test_every_drawing_is_made_and_says_what_it_shows() -> None:
    drawn = distance_drawings(pictures(), source="pets", target="wild")
    assert set(drawn) == EVERY
    assert "1: 40 %, 2: 30 %, 3: 10 %" in drawn["eigen-images"].alt
    assert drawn["explained-variance"].alt == "Variance by components: 2 hold 50 %; 5 hold 90 %; all 5 95%."
    assert "pets, n = 12; wild, n = 18" in drawn["components-by-domain"].alt
    assert "Source: pets: cat 0, cat 1" in drawn["components-by-class"].alt


def test_embeddings_carry_their_caveats_and_counts_on_the_figure() -> None:
    drawn = distance_drawings(pictures(), source="pets", target="wild")
    for name in ("tsne-by-domain", "tsne-by-class"):
        said = words(standalone(drawn[name]))
        assert "perplexity 5" in said
        assert "30 of 120 images" in said
        assert "Too few for perplexity 50." in said
        assert "mean nothing" in said
        assert drawn[name].alt.endswith(CAVEATS)


def test_every_image_is_one_mark() -> None:
    drawn = distance_drawings(pictures(), source="pets", target="wild")
    assert drawn["components-by-domain"].svg.count("<use") - words_of_axes(drawn["components-by-domain"].svg) == 32


def words_of_axes(svg: str) -> int:
    """Ticks, which are drawn as marks too."""
    return len(re.findall(r"<use[^>]*stroke-width: 0\.8", svg))


def test_equal_pictures_give_equal_bytes() -> None:
    first, second = (distance_drawings(pictures(), source="pets", target="wild") for _ in range(2))
    assert {name: standalone(panel) for name, panel in first.items()} == {
        name: standalone(panel) for name, panel in second.items()
    }


def test_a_file_of_its_own_needs_nothing_from_the_page() -> None:
    for panel in distance_drawings(pictures(channels=3), source="pets", target="wild").values():
        text = standalone(panel)
        assert "var(--" not in text
        root = ET.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not re.search(r'href="(?!#|data:)', text)


def test_what_cannot_be_drawn_is_left_out() -> None:
    many = distance_drawings(pictures(source=MOST_CLASSES + 1, each=1), source="pets", target="wild")
    assert set(many) == EVERY - {"components-by-class", "tsne-by-class"}
    few = distance_drawings(pictures(perplexities=()), source="pets", target="wild")
    assert set(few) == EVERY - {"tsne-by-domain", "tsne-by-class"}


@pytest.mark.parametrize("names", [("pets", "pets"), ("<&>", "a" * 60)])
def test_names_of_any_kind_are_drawn_as_they_are(names: tuple[str, str]) -> None:
    for panel in distance_drawings(pictures(), source=names[0], target=names[1]).values():
        ET.fromstring(standalone(panel))
