"""Train the networks of the demo world: `python -m stimuli.demo.train`.

One thread trains faster than two where the machine is shared, hence the default.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from stimuli.demo.augmentation import augment, normalise, occlude, target
from stimuli.demo.guidance import guide, pool, pool_part
from stimuli.demo.networks import INPUT_SIZE, WEIGHTS, build
from stimuli.demo.world import CLASSES, scene

TRAINING, HELD_OUT = 1, 2
PHOTOGRAPH_SIZE_PX = 224


@dataclass(frozen=True)
class Settings:
    """How one network is trained.

    `images` and `held_out` count photographs; each of `rounds` has `epochs`. `guidance` weighs the
    loss of `guide`. In the first `part_epochs` a ViT is shown parts of images (see `pool_part`),
    which takes a fifth of the time.
    """

    network: str
    seed: int = 0
    epochs: int = 4
    images: int = 9000
    held_out: int = 600
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    guidance: float = 3.0
    part_epochs: int = 0
    rounds: int = 1


RECIPES: dict[str, Settings] = {
    "vgg": Settings("vgg"),
    "resnet": Settings("resnet", rounds=2),
    "vit": Settings("vit", epochs=8, part_epochs=6, guidance=5.0, learning_rate=1.5e-3),
}


@dataclass(frozen=True)
class Album:
    """Scenes in memory: images uint8 (n, 3, h, w), masks bool (n, h, w), labels int64 (n,)."""

    images: Tensor
    masks: Tensor
    labels: Tensor


def draw_album(seed: int, split: int, count: int, size_px: int, workers: int = 2) -> Album:
    """Draw `count` scenes, the classes in turn. Scene i depends on seed, split and i alone."""
    tasks = [(seed, split, number, size_px) for number in range(count)]
    with get_context("spawn").Pool(workers) as painters:
        drawn = list(tqdm(painters.imap(_draw, tasks, chunksize=20), "scenes", count, unit="image"))
    images = torch.from_numpy(np.stack([image for image, _ in drawn]))
    masks = torch.from_numpy(np.stack([mask for _, mask in drawn]))
    labels = torch.arange(count) % len(CLASSES)
    return Album(images.permute(0, 3, 1, 2).contiguous(), masks, labels)


def _draw(task: tuple[int, int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    seed, split, number, size_px = task
    # The last word keeps these apart from the generators of `write_photographs`.
    drawn = scene(np.random.default_rng((seed, split, number, 1)), number % len(CLASSES), size_px)
    return drawn.image, drawn.mask


def train(settings: Settings, album: Album) -> nn.Module:
    """Train one network on `album` and give it back, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = build(settings.network)
    for number in range(settings.rounds):
        train_round(network, settings, album, number)
    return network.eval()


def train_round(network: nn.Module, settings: Settings, album: Album, number: int) -> None:
    """Train a network in place for one round: the learning rate rises once and falls to zero."""
    rng = np.random.default_rng((settings.seed, 3, number))
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        head = nn.LazyLinear(len(CLASSES) + 1)
        head(pool(network.eval(), torch.zeros(2, 3, INPUT_SIZE, INPUT_SIZE))[1])
    optimizer = torch.optim.AdamW(
        [*network.parameters(), *head.parameters()],
        settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    batches = settings.images // settings.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.learning_rate,
        epochs=settings.epochs,
        steps_per_epoch=batches,
        pct_start=0.2,
    )
    network.train()
    progress = tqdm(total=settings.epochs * batches, desc=settings.network, unit="batch")
    losses = np.zeros(2)
    for epoch in range(settings.epochs):
        in_parts = epoch < settings.part_epochs
        order = torch.from_numpy(rng.permutation(settings.images)[: batches * settings.batch])
        for chosen in order.reshape(batches, settings.batch):
            parts = _measure_losses(network, head, settings, album, chosen, in_parts, rng)
            optimizer.zero_grad()
            torch.autograd.backward(parts[0] + settings.guidance * parts[1])
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses += 0.02 * (np.array([part.item() for part in parts]) - losses)
            progress.update()
            progress.set_postfix(named=f"{losses[0]:.3f}", guided=f"{losses[1]:.3f}")
    progress.close()


def _measure_losses(
    network: nn.Module,
    head: nn.Module,
    settings: Settings,
    album: Album,
    chosen: Tensor,
    in_parts: bool,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Losses of naming the class and of `guide` on freshly augmented photographs."""
    masks, labels = album.masks[chosen], album.labels[chosen]
    images = normalise(album.images[chosen])
    seen = occlude(images, masks, rng)
    images, seen = augment(images, seen, rng)
    whole_px = masks.sum((1, 2))
    if isinstance(network, VisionTransformer) and in_parts:
        logits, places, seen = pool_part(network, images, seen, rng)
        whole_px = whole_px / (INPUT_SIZE // network.patch_embed.grid_size[0]) ** 2
    else:
        logits, places = pool(network, images)
    goal = target(labels, seen.sum((1, 2, 3)) / whole_px, settings.label_smoothing)
    return functional.cross_entropy(logits, goal), guide(places, head, labels, seen)


@torch.inference_mode()
def measure_accuracy(network: nn.Module, album: Album) -> float:
    """Share of the album's photographs whose highest logit is their class."""
    network.eval()
    found = [int(network(normalise(image[None])).argmax()) for image in album.images]
    return float(np.mean(np.array(found) == album.labels.numpy()))


def save(network: nn.Module, path: Path) -> str:
    """Save weights in half precision as safetensors; give the file's SHA-256 digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {
        key: value.half() if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }
    save_file({key: value.contiguous() for key, value in halves.items()}, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(name: str, path: Path) -> nn.Module:
    """Build network `name` with the weights in `path`, in single precision and evaluation mode."""
    network = build(name)
    network.load_state_dict(load_file(path))
    return network.float().eval()


def _record(path: Path, name: str, entry: dict[str, object]) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = entry
    path.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")


@click.command(help=__doc__)
@click.option(
    "--network",
    "names",
    type=click.Choice(list(RECIPES)),
    multiple=True,
    help="May be given more than once; all networks if not given.",
)
@click.option("--epochs", type=int, help="Instead of the recipe's.")
@click.option("--seed", type=int, default=Settings.seed, show_default=True)
@click.option("--images", type=int, default=Settings.images, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=WEIGHTS["vit"].parent,
    help="Folder for the weights and training.json.",
)
def main(
    names: tuple[str, ...], epochs: int | None, seed: int, images: int, threads: int, out: Path
) -> None:
    """Train, save and measure each network named (all, if none is)."""
    torch.set_num_threads(threads)
    held_out = draw_album(seed, HELD_OUT, Settings.held_out, PHOTOGRAPH_SIZE_PX)
    album = draw_album(seed, TRAINING, images, INPUT_SIZE)
    for name in names or tuple(RECIPES):
        recipe = RECIPES[name]
        settings = replace(recipe, seed=seed, images=images, epochs=epochs or recipe.epochs)
        began = time.monotonic()
        network = train(settings, album)
        seconds = time.monotonic() - began
        path = out / f"{name}.safetensors"
        accuracy = measure_accuracy(network, held_out)
        digest = save(network, path)
        halved = measure_accuracy(load(name, path), held_out)
        click.echo(f"{name}: held-out accuracy {accuracy:.3f}, after the fp16 cast {halved:.3f}")
        entry = {
            "settings": asdict(settings),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "training_s": round(seconds),
            "held_out_accuracy": accuracy,
            "held_out_accuracy_fp16": halved,
            "file_bytes": path.stat().st_size,
            "sha256": digest,
        }
        _record(out / "training.json", name, entry)


if __name__ == "__main__":
    main()
