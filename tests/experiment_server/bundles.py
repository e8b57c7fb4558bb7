"""A small study bundle, made without a network: 2 networks, 2 units, practice, catch, 4 lists."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from random import Random

from stimuli.schema import Study, dump_study

CONDITIONS = ("olah", "maco", "control")
REFERENCES = 4
SIDE_PX = 24


def png(seed: str, noise_px: int = 0) -> bytes:
    """A plain PNG whose colour, and so whose content, is the seed's; or noise, as large as given.

    Noise cannot be compressed: its file is as large as a photograph's.
    """
    side_px = noise_px or SIDE_PX
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    chance = Random(seed)
    row = chance.randbytes if noise_px else lambda size: colour * (size // 3)
    rows = b"".join(b"\0" + row(3 * side_px) for _ in range(side_px))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def make_bundle(
    folder: Path,
    *,
    name: str = "tiny",
    main: int = 4,
    practice: int = 2,
    catch: int = 1,
    noise_px: int = 0,
) -> Path:
    """Writes a valid bundle: `main` trials a list, alternating networks and sides."""
    (folder / "images").mkdir(parents=True)
    digests: dict[str, str] = {}

    def image(seed: str) -> str:
        content = png(seed, noise_px)
        digest = hashlib.sha256(content).hexdigest()
        file = digest[:20] + ".png"
        (folder / "images" / file).write_bytes(content)
        digests[file] = digest
        return file

    def trial(kind: str, number: int) -> dict[str, object]:
        favored = number % 2
        key = f"{kind}{number}"
        unit = number % 2
        return {
            "id": "t" + hashlib.sha256(key.encode()).hexdigest()[:10],
            "kind": kind,
            "network": ("VGG", "ViT")[number % 2],
            "unit": {"kind": "class", "index": unit, "label": ("peacock", "=llama")[unit]},
            "base_image": {"source": f"{key}.jpg", "image": image(f"{key} base")},
            "references": {
                condition: []
                if condition == "control"
                else [image(f"{key} {condition} {place}") for place in range(REFERENCES)]
                for condition in CONDITIONS
            },
            "queries": [
                {
                    "image": image(f"{key} query {side}"),
                    "activation": 2.0 if side == favored else 1.0,
                    "occluder": {"x_px": 4 * side, "y_px": 0, "size_px": 8},
                }
                for side in (0, 1)
            ],
            "base_activation": 3.0,
            "favored": favored,
            "baselines": {},
        }

    trials = [
        *(trial("practice", at) for at in range(practice)),
        *(trial("main", at) for at in range(main)),
        *(trial("catch", at) for at in range(catch)),
    ]
    by_kind: dict[str, list[str]] = {"practice": [], "main": [], "catch": []}
    for one in trials:
        by_kind[str(one["kind"])].append(str(one["id"]))
    lists = []
    for turn in range(4):
        turned = [*by_kind["main"][turn % main :], *by_kind["main"][: turn % main]]
        lists.append([*by_kind["practice"], *turned[:2], *by_kind["catch"], *turned[2:]])
    study = Study.model_validate(
        {
            "schema_version": 1,
            "name": name,
            "title": "Which of the two does the network like better?",
            "config": {
                "queries": {"show_base_image": False},
                "exclusions": {"late": {}, "below_chance": {"alpha": 0.01, "chance": 0.5}},
            },
            "software": {"python": "3.11"},
            "networks": [
                {"name": one, "model": one, "weights_digest": "0" * 64, "input_size_px": 224}
                for one in ("VGG", "ViT")
            ],
            "conditions": list(CONDITIONS),
            "images": dict(sorted(digests.items())),
            "trials": sorted(trials, key=lambda one: str(one["id"])),
            "lists": lists,
        }
    )
    (folder / "study.json").write_text(dump_study(study), encoding="utf-8")
    return folder
