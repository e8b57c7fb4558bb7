"""The search for a map's extremes beside maps of all places: how often it finds the same two.

Photographs are those beside the repository for its three networks, and new scenes of the demo world
for the demo's; 224 px, an occluder of 90 px. Of each photograph the maps of its own class and of
the classes that the network answers to most strongly are searched. With --maps, maps are kept in a
folder, and taken from there the next time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from networks import SHARED, load
from safetensors.torch import load_file, save_file
from scipy.stats import binomtest
from torch import Tensor
from tqdm import tqdm

from maco import Classifier, logit
from maco.images import find_images, read_image, to_bytes
from stimuli.demo.world import scene
from stimuli.occlusion import ActivationMap, answers_of, corners, occlude
from stimuli.search import search_extremes
from stimuli.study_tables import NetworkSource
from stimuli.units import DEMO, load_network

REAL = ("squeezenet1_1", "mobilenetv2_100", "vit_tiny_patch16_224")
NAMES = (*REAL, "demo/vgg", "demo/resnet", "demo/vit")
SIDE_PX, SIZE_PX = 224, 90


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, default=NAMES, show_default=True)
@click.option("--photographs", default=20, show_default=True, help="For each network.")
@click.option("--classes", default=10, show_default=True, help="Maps of a photograph.")
@click.option("--stride", "stride_px", default=2, show_default=True, help="In pixels.")
@click.option("--maps", type=click.Path(path_type=Path), help="Keep the maps in this folder.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(
    names: tuple[str, ...],
    photographs: int,
    classes: int,
    stride_px: int,
    maps: Path | None,
    out: Path | None,
) -> None:
    """The command line."""
    results = []
    for name in names:
        found = list(compare(name, photographs, classes, stride_px, maps))
        own = [one for one in found if one["own"]]
        results.append({"model": name, "own": summary(own), "all": summary(found), "maps": found})
        for kind in ("own", "all"):
            click.echo(f"{name} ({kind}): {describe(results[-1][kind])}")
    if out is not None:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def compare(
    name: str, photographs: int, classes: int, stride_px: int, folder: Path | None
) -> Iterator[dict[str, Any]]:
    """What the search finds in each map, beside what is there."""
    classifier = network(name)
    pictures = demo_scenes() if name.startswith(DEMO) else real_photographs()
    for key, own, image in (next(pictures) for _ in range(photographs)):
        path = folder and folder / f"{name.replace('/', '-')}_{key}_{stride_px}.safetensors"
        kept = load_file(path) if path and path.is_file() else None
        if kept is None or len(kept["classes"]) < classes:
            kept = sweep_classes(
                classifier, image, strongest(classifier, image, own, classes), stride_px
            )
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                save_file(kept, path)
        for index, values in list(zip(kept["classes"].tolist(), kept["values"], strict=True))[
            :classes
        ]:
            yield {"photograph": key, "class": index, "own": index == own, **search_one(values)}


def network(name: str) -> Classifier:
    """One of the demo's networks, or of those beside the repository."""
    if name.startswith(DEMO):
        return load_network(NetworkSource(name=name, model=name), Path(), "cpu")
    return load(name)


def real_photographs() -> Iterator[tuple[str, int, Tensor]]:
    """Name, class and central square of the photographs, in an order that is always the same."""
    paths = find_images(SHARED / "imagenet_sample")
    for at in torch.randperm(len(paths), generator=torch.Generator().manual_seed(7)).tolist():
        image = to_bytes(read_image(paths[at]))[:, 16 : 16 + SIDE_PX, 16 : 16 + SIDE_PX]
        yield paths[at].stem[:3], int(paths[at].stem[:3]), image.contiguous()


def demo_scenes() -> Iterator[tuple[str, int, Tensor]]:
    """Name, class and pixels of new scenes, the classes in turn."""
    for at in range(10_000):
        round_, label = divmod(at, 10)
        pixels = scene(np.random.default_rng([77, round_, label, SIDE_PX]), label, SIDE_PX).image
        yield f"{round_}{label}", label, torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def strongest(classifier: Classifier, image: Tensor, own: int, count: int) -> list[int]:
    """The photograph's own class, then those that the network answers to most strongly."""
    every = [logit(index) for index in range(classifier.classes)]
    ranked = answers_of(classifier, every, image[None])[:, 0].argsort(descending=True).tolist()
    return [own, *(index for index in ranked if index != own)][:count]


def sweep_classes(
    classifier: Classifier, image: Tensor, classes: list[int], stride_px: int
) -> dict[str, Tensor]:
    """classes (c,), values (c, rows, columns): the maps of several classes in one sweep."""
    places = corners(SIDE_PX, SIZE_PX, stride_px).tolist()
    objectives = [logit(index) for index in classes]
    corner = [(x, y) for y in places for x in places]
    answers = []
    for start in tqdm(range(0, len(corner), classifier.batch), leave=False):
        part = corner[start : start + classifier.batch]
        batch = torch.stack([occlude(image, x, y, SIZE_PX) for x, y in part])
        answers.append(answers_of(classifier, objectives, batch))
    values = torch.cat(answers, 1).view(len(classes), len(places), len(places))
    return {"classes": torch.tensor(classes), "values": values}


def search_one(values: Tensor) -> dict[str, Any]:
    """Whether the search finds the two places, and by what share of the spread it falls short."""
    rows, columns = values.shape
    found = search_extremes(lambda places: values.flatten()[places], rows, columns)
    there, here = (as_map(one) for one in (values, found))
    return {
        "places": int(found.isfinite().sum()),
        "lowest": here.lowest == there.lowest,
        "highest": here.highest == there.highest,
        "short": 1 - here.spread / there.spread,
    }


def as_map(values: Tensor) -> ActivationMap:
    """A map of which only the values matter."""
    rows, columns = values.shape
    return ActivationMap(values, torch.arange(columns), torch.arange(rows), SIZE_PX, 0.0)


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Agreement with its 95 % Clopper-Pearson interval."""
    same = sum(one["lowest"] and one["highest"] for one in found)
    interval = binomtest(same, len(found)).proportion_ci(method="exact")
    return {
        "same": same,
        "maps": len(found),
        "interval": [float(interval.low), float(interval.high)],
        "largest_short": max(one["short"] for one in found),
        "places": max(one["places"] for one in found),
    }


def describe(result: dict[str, Any]) -> str:
    """A summary in a line."""
    low, high = result["interval"]
    return (
        f"{result['same']} of {result['maps']} maps ({low:.3f} to {high:.3f}), at most"
        f" {result['largest_short']:.2%} of the spread short, {result['places']} places"
    )


if __name__ == "__main__":
    main()
