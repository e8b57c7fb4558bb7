"""The folder of a class's concepts: concepts.json, its images, and the contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from maco.classifiers import Classifier
from maco.concepts import ClassConcepts, Concept
from maco.concepts.heatmaps import overlay
from maco.concepts.sheet import Row, draw_sheet
from maco.files import write_atomically
from maco.images import encode_png, read_image
from maco.metrics.views import FID_FRACTION, central
from maco.photographs import read_square
from maco.visualization import Visualization

RECORD = "concepts.json"
SHEET = "concepts.png"
PATCH_PX = 224  # larger patches are stored at this side


def read_record(folder: Path) -> dict[str, Any] | None:
    """The concepts.json of a folder; None if the class is not finished. ValueError if damaged."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    return record


def write_concepts(
    folder: Path,
    classifier: Classifier,
    found: ClassConcepts,
    visualizations: Sequence[Visualization] | None,
    configuration: dict[str, Any],
) -> None:
    """Writes images, sheet and, last, concepts.json: where it is, all is."""
    label = classifier.class_labels[found.class_index].split(",")[0]
    entries, rows = [], []
    for index, concept in enumerate(found.concepts):
        visualization = visualizations[index] if visualizations is not None else None
        entry, row = _write_concept(folder, index, concept, visualization, classifier.input_size_px)
        entries.append(entry)
        rows.append(row)
    facts = (
        f"Layer {found.layer}: {found.patches} patches of {found.photographs}"
        f" photographs, {found.explained:.0%} of their activation explained."
        " Importance: total-order Sobol index, 95 % interval over photographs."
    )
    write_atomically(
        folder / SHEET, draw_sheet(f"Concepts of {classifier.name}: {label}", facts, rows)
    )
    record = {
        "network": classifier.name,
        "class_index": found.class_index,
        "label": label,
        "layer": found.layer,
        "photographs": found.photographs,
        "patches": found.patches,
        "explained": found.explained,
        "signs_split": found.signed,
        "logit": found.logit,
        "logit_of_concepts": found.logit_of_concepts,
        "estimator": "Jansen, total order",
        "sheet": SHEET,
        "concepts": entries,
        "configuration": configuration,
    }
    content = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    write_atomically(folder / RECORD, content.encode())


def _write_concept(
    folder: Path, index: int, concept: Concept, visualization: Visualization | None, size_px: int
) -> tuple[dict[str, Any], Row]:
    stem = f"concept-{index}"
    if visualization is not None:
        visualization.save(folder / stem)
    patches, patch_images = [], []
    for number, (patch, amount) in enumerate(concept.patches):
        image = _at_most(patch.cut(read_image(patch.photograph)), PATCH_PX)
        name = f"{stem}-patch-{number}.png"
        write_atomically(folder / name, encode_png(image))
        patch_images.append(image)
        box = [patch.left_px, patch.top_px, patch.side_px]
        source = patch.photograph.name
        patches.append({"image": name, "source": source, "box_px": box, "activation": amount})
    heatmaps, heat_images = [], []
    for number, (path, heat) in enumerate(concept.heatmaps):
        image = overlay(read_square(path, size_px), heat)
        name = f"{stem}-heatmap-{number}.png"
        write_atomically(folder / name, encode_png(image))
        heat_images.append(image)
        heatmaps.append({"image": name, "source": path.name})
    entry = {
        "index": index,
        "importance": concept.importance,
        "importance_interval": list(concept.interval),
        "visualization": stem if visualization is not None else None,
        "direction": concept.direction.tolist(),
        "patches": patches,
        "heatmaps": heatmaps,
    }
    picture = None
    if visualization is not None:  # objects form small and in the middle
        picture = central(visualization.image[None], FID_FRACTION)[0]
    return entry, Row(concept.importance, concept.interval, picture, patch_images, heat_images)


def _at_most(image: Tensor, side_px: int) -> Tensor:
    if image.shape[-1] <= side_px:
        return image
    return F.interpolate(image[None], (side_px, side_px), mode="bilinear", antialias=True)[0]
