"""How far a set of images is from another as a distribution: FID and KID, and their features.

FID (Heusel et al. 2017) is biased upwards, the more the fewer the images: with fewer images than
channels its covariances are not even of full rank, and it compares only with FIDs of as many
images. KID (Binkowski et al. 2018) has no bias; for tens of images it is the one to believe.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Generator, Tensor

from maco.classifiers import Classifier
from maco.metrics.features import pooled_features
from maco.metrics.views import squares
from maco.weights import read_weights

FeatureNetwork = Callable[[Tensor], Tensor]  # images (n, 3, h, w) in [0, 1] -> (n, channels)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance of two Gaussians fitted to features (n, c) and (m, c); FID.

    The trace of the root of the product of two covariances is the sum of singular values of a
    product of their factors: exact also where there are fewer images than channels, where roots of
    eigenvalues are wrong in the fifth digit. Raises ValueError for fewer than 2 images.
    """
    a, b = _comparable(a, b)
    spread_a, spread_b = _centred(a), _centred(b)
    factor_a = torch.linalg.qr(spread_a, mode="r").R
    factor_b = torch.linalg.qr(spread_b, mode="r").R
    shared = torch.linalg.svdvals(factor_a @ factor_b.T).sum()
    shift = (a.mean(0) - b.mean(0)).square().sum()
    return float(shift + spread_a.square().sum() + spread_b.square().sum() - 2 * shared)


def kernel_distance(
    a: Tensor,
    b: Tensor,
    *,
    subsets: int = 100,
    subset_size: int | None = None,
    generator: Generator,
) -> tuple[float, float]:
    """Mean and s.d. over subsets of the squared MMD of features (n, c) and (m, c); KID.

    The cubic kernel of Binkowski et al. (2018), unbiased (so it can be below 0), by torch-fidelity.
    subset_size: images of either set in a subset, by default as many as the smaller set has; of
    sets of one size every subset is then all of them, and the s.d. 0. The s.d. is that of subsets,
    not an interval for the mean.
    Raises ValueError for a subset of fewer than 2 images or of more than there are.
    """
    from torch_fidelity.metric_kid import (
        KEY_METRIC_KID_MEAN,
        KEY_METRIC_KID_STD,
        kid_features_to_metric,
    )

    a, b = _comparable(a, b)
    fewest = min(len(a), len(b))
    size = fewest if subset_size is None else subset_size
    if not 2 <= size <= fewest or subsets < 1:
        raise ValueError(
            f"{subsets} subsets of {size} images of {len(a)} and {len(b)}: a subset has 2 to"
            f" {fewest} images, and there is at least one"
        )
    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
    found = kid_features_to_metric(
        a, b, kid_subsets=subsets, kid_subset_size=size, rng_seed=seed, verbose=False
    )
    return float(found[KEY_METRIC_KID_MEAN]), float(found[KEY_METRIC_KID_STD])


def feature_network(classifier: Classifier, layer: str) -> FeatureNetwork:
    """A layer of any classifier as the features of FID and KID, averaged over places."""

    def extract(images: Tensor) -> Tensor:
        return pooled_features(classifier, images, [layer])[layer]

    return extract


def inception_features(weights: Path, *, device: str = "cpu") -> FeatureNetwork:
    """The 2,048 features of FID proper: torch-fidelity's Inception with weights from a file.

    The file is torch-fidelity's own (weights-inception-2015-12-05-6726825d.pth), or its content as
    safetensors. Images are brought to 299 px with antialiasing and rounded to 8 bits.
    Raises ValueError for a file that is missing, no weights, or of another network.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # It would unpickle anything: it gets a copy of what has been read safely.
    content = io.BytesIO()
    torch.save(read_weights(weights), content)
    content.seek(0)
    try:
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=content
        ).to(device)
    except RuntimeError as error:
        raise ValueError(
            f"the weights in {weights} do not fit torch-fidelity's Inception: give its file"
            " weights-inception-2015-12-05-6726825d.pth"
        ) from error

    def extract(images: Tensor) -> Tensor:
        groups = squares(images, network.INPUT_IMAGE_SIZE, 16)
        found: list[Tensor]
        with torch.no_grad():
            found = [network(group.mul(255).round().byte().to(device))[0] for group in groups]
        return torch.cat(found).cpu()

    return extract


def _comparable(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"features of shape {tuple(a.shape)} and {tuple(b.shape)} cannot be compared:"
            " (n, channels) and (m, channels) are needed"
        )
    if min(len(a), len(b)) < 2:
        raise ValueError(f"sets of {len(a)} and {len(b)} images have no distance: 2 are needed")
    return a.detach().cpu().double(), b.detach().cpu().double()


def _centred(features: Tensor) -> Tensor:
    """Features whose product with themselves is the covariance."""
    centred: Tensor = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    return centred
