"""Photographs by class: of a folder with a folder for each class, or with an index.csv."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from maco.classifiers import Classifier
from maco.images import ImageError, find_images, read_image

INDEX_FILE = "index.csv"
CLASS_COLUMNS = ("class", "class_index", "wnid", "label")
_SHOWN = 6  # of what a folder has, in a message


def find_photographs(
    folder: Path, classifier: Classifier, class_indices: Iterable[int] | None = None
) -> dict[int, list[Path]]:
    """The image files of some classes, by class index in the order asked for.

    Where `folder` has an index.csv, its column file names them (relative to it) and the first of
    the columns class, class_index, wnid and label the class; the files keep its order. Else each
    class has a folder named by index, label or wnid, searched deep; the files are sorted by path.
    class_indices: without it, every class that the folder has.
    Raises ValueError for a class without photographs, a class index that the network does not
    have (a folder made for another network), a listed file that is missing, or no such folder.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder of images")
    listed = folder / INDEX_FILE
    names = _by_name(listed) if listed.is_file() else _folders(folder)
    found: dict[int, list[Path]] = {}
    for name, files in names.items():
        index = _class_of(name, folder, classifier)
        if index is not None:
            found.setdefault(index, []).extend(files)
    wanted = sorted(found) if class_indices is None else list(dict.fromkeys(class_indices))
    for index in wanted:
        if not found.get(index):
            raise ValueError(_none_of(index, folder, classifier, found))
    if not wanted:
        raise ValueError(f"{folder} has no class of {classifier.name}: it has {_some(names)}")
    return {index: list(_existing(found[index])) for index in wanted}


def read_square(path: Path, size_px: int, *, smallest_px: int = 32) -> Tensor:
    """The central square of a photograph, (3, size_px, size_px) in [0, 1].

    Raises ImageError for a file that is no image, or whose shorter side is under `smallest_px`.
    """
    image = read_image(path, smallest_px=smallest_px)
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[:, top : top + side, left : left + side]
    if side == size_px:
        return square
    resized = F.interpolate(square[None], (size_px, size_px), mode="bicubic", antialias=True)
    return resized[0].clamp(0, 1)


def _folders(folder: Path) -> dict[str, list[Path]]:
    own = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    if not own:
        raise ImageError(
            f"{folder} has no folder for each class (named by index, label or wnid) and no"
            f" {INDEX_FILE}"
        )
    return {path.name: _images(path) for path in own}


def _images(folder: Path) -> list[Path]:
    try:
        return find_images(folder)
    except ImageError:
        return []  # matters only if its class is asked for


def _by_name(index: Path) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = {}
    for _, name, path in read_index(index, index.parent):
        named.setdefault(name, []).append(path)
    return named


def read_index(path: Path, folder: Path) -> Iterator[tuple[int, str, Path]]:
    """Line, class and file of each row of an index.csv; files are in `folder`, there or not.

    Raises ValueError for a table without a column file and one of CLASS_COLUMNS, or an empty cell.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or ()
        column = next((name for name in CLASS_COLUMNS if name in columns), None)
        if "file" not in columns or column is None:
            raise ValueError(
                f"{path} needs a column file and one of {', '.join(CLASS_COLUMNS)};"
                f" it has {', '.join(columns)}"
            )
        for number, row in enumerate(rows, start=2):
            if not row["file"] or not row[column]:
                raise ValueError(f"{path}, line {number}: give a file and its {column}")
            yield number, row[column], folder / row["file"]


def _class_of(name: str, folder: Path, classifier: Classifier) -> int | None:
    try:
        return classifier.class_index(name)
    except ValueError as error:
        if name.isdecimal():
            raise ValueError(
                f"{folder} has photographs of class {name}, so it is for another network: {error}"
            ) from error
        return None  # something else's


def _existing(files: list[Path]) -> Iterator[Path]:
    for path in files:
        if not path.is_file():
            raise ImageError(f"{path.parent} has no file {path.name}, which {INDEX_FILE} lists")
        yield path


def _none_of(index: int, folder: Path, classifier: Classifier, found: dict[int, list[Path]]) -> str:
    labels = classifier.class_labels
    has = _some([labels[own].split(",")[0] for own in sorted(found) if found[own]])
    return (
        f"{folder} has no photographs of {labels[index].split(',')[0]} (class {index} of"
        f" {classifier.name}): it has {has}"
    )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(names[:_SHOWN]) or "none"
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
