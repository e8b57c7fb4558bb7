"""Deep-KNN: distances by hand, and that photographs are nearer to their class than noise is."""

from __future__ import annotations

import pytest
import torch

from maco.metrics.plausibility import knn_distance, plausibility

REAL = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])


def test_the_distance_to_the_kth_nearest():
    features = torch.tensor([[0.0, 0.0], [6.0, 8.0], [0.0, 1.0]])
    first = knn_distance(features, REAL, 1, normalise=False)
    second = knn_distance(features, REAL, 2, normalise=False)
    assert first.tolist() == [0, 0, 1]
    assert second.tolist() == pytest.approx([5, 5, 18**0.5])


def test_normalised_distances_do_not_depend_on_strength():
    features = torch.tensor([[1.0, 0.0], [0.0, 5.0], [-7.0, 0.0]])
    real = torch.tensor([[9.0, 0.0]])
    assert knn_distance(features, real).tolist() == pytest.approx([0, 2**0.5, 2])


def test_order_of_the_real_images_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    features, real = (torch.randn(count, 6, generator=generator) for count in (4, 9))
    torch.testing.assert_close(
        knn_distance(features, real, 3), knn_distance(features, real.flip(0), 3)
    )


def test_plausibility_is_the_mean_over_layers():
    near, far = {"a": REAL[:1], "b": REAL[:1]}, {"a": REAL[1:], "b": REAL[2:]}
    assert plausibility(near, far, 1, normalise=False).tolist() == [7.5]


@pytest.mark.parametrize("k", [0, 4, -1])
def test_fewer_photographs_than_k_are_refused(k):
    with pytest.raises(ValueError, match=f"k is {k}, and there are 3 real images"):
        knn_distance(REAL, REAL, k)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="no real image"):
        knn_distance(REAL, REAL[:0])
    with pytest.raises(ValueError, match="cannot be compared"):
        knn_distance(REAL, torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"layers \['a'\], the real images of \['b'\]"):
        plausibility({"a": REAL}, {"b": REAL})
    with pytest.raises(ValueError, match="read the same layers"):
        plausibility({}, {})
