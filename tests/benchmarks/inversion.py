"""Which views invert a layer best: cosine of its answers to the finished image and the photograph.

Both are seen whole. `others`: the mean cosine of other photographs, what nothing done would give.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import click
from networks import SHARED, load

from maco.commandline import ListCommand
from maco.images import encode_png
from maco.invert import inversion_preset, invert, similarity
from maco.photographs import read_square

OTHERS = ("024.jpg", "171.jpg", "609.jpg", "650.jpg")
WAYS = {
    "whole": {"name": "whole"},
    "whole, noise .1": {"name": "paper", "crops": 1, "crop_side": 1.0, "crop_side_sd": 0.0},
    "crops N(.9, .1)": {"name": "paper", "crops": 2, "crop_side": 0.9, "noise_uniform": 0.03},
    "paper": {"name": "paper", "crops": 4},
    "whole, double size": {"name": "whole", "double": True},
    "whole, rate .3": {"name": "whole", "learning_rate": 0.3},
    "whole, free spectrum": {"name": "lucid", "transforms": "none"},
}


@click.command(cls=ListCommand, help=__doc__)
@click.option("--model", default="mobilenetv2_100", show_default=True)
@click.option("--layers", multiple=True, default=("blocks.0", "blocks.2", "blocks.4", "blocks.6"))
@click.option("--photograph", default="024.jpg", show_default=True, help="Of imagenet_512.")
@click.option("--ways", multiple=True, default=tuple(WAYS), type=click.Choice(list(WAYS)))
@click.option("--steps", default=64, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="A folder for the pictures.")
def main(
    model: str,
    layers: tuple[str, ...],
    photograph: str,
    ways: tuple[str, ...],
    steps: int,
    out: Path | None,
) -> None:
    """The command line."""
    network = load(model)
    side = network.input_size_px
    folder = SHARED / "imagenet_512"
    wanted = read_square(folder / photograph, side)
    print(f"{model}, {photograph}, {steps} steps")
    print(f"{'':22s}" + "".join(f"{layer:>12s}" for layer in layers))
    others = [read_square(folder / name, side) for name in OTHERS if name != photograph]
    chance = [mean(similarity(network, one, wanted, layer) for one in others) for layer in layers]
    print(f"{'others':22s}" + "".join(f"{value:12.3f}" for value in chance), flush=True)
    for way in ways:
        fields = dict(WAYS[way])
        size_px = side * (1 + bool(fields.pop("double", False)))
        preset = inversion_preset(network, **fields, steps=steps, size_px=size_px)
        reached = []
        for layer in layers:
            made = invert(network, wanted, layer, preset, progress=False)
            reached.append(similarity(network, made.image, wanted, layer))
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{model}-{layer}-{way}.png").write_bytes(encode_png(made.image))
        print(f"{way:22s}" + "".join(f"{value:12.3f}" for value in reached), flush=True)


if __name__ == "__main__":
    main()
