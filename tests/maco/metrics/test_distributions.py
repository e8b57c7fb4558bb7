"""FID and KID against closed forms, and how few images change them."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from maco.metrics.distributions import (
    feature_network,
    frechet_distance,
    inception_features,
    kernel_distance,
)


def normal(count, channels, seed, *, mean=0.0, sd=1.0):
    drawn = torch.randn(count, channels, generator=Generator().manual_seed(seed))
    return drawn * torch.as_tensor(sd) + mean


def seeded_kernel_distance(a, b, **options):
    return kernel_distance(a, b, generator=Generator().manual_seed(0), **options)


def test_frechet_distance_of_two_gaussians():
    a = normal(40_000, 3, 0, sd=[1.0, 2.0, 0.5])
    b = normal(40_000, 3, 1, mean=0.7, sd=[2.0, 1.0, 0.5])
    closed = 3 * 0.7**2 + (2 - 1) ** 2 + (1 - 2) ** 2
    assert frechet_distance(a, b) == pytest.approx(closed, rel=0.03)


def test_frechet_distance_sees_correlation_that_no_channel_shows_alone():
    a, b = normal(20_000, 2, 0), normal(20_000, 2, 1)
    b[:, 1] = 0.8 * b[:, 0] + 0.6 * b[:, 1]
    root = 1.8**0.5 + 0.2**0.5  # trace of the root of the correlated covariance
    assert frechet_distance(a, b) == pytest.approx(4 - 2 * root, rel=0.1)


@pytest.mark.parametrize("count", [30, 200])
def test_frechet_distance_agrees_with_torch_fidelity(count):
    from torch_fidelity import metric_fid

    a, b = normal(count, 40, 0).double(), normal(50, 40, 1, mean=0.3, sd=1.5).double()
    statistics = [metric_fid.fid_features_to_statistics(features) for features in (a, b)]
    [theirs] = metric_fid.fid_statistics_to_metric(*statistics, verbose=False).values()
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-5)


def test_a_set_has_no_distance_to_itself_and_order_does_not_matter():
    a, b = normal(20, 50, 0), normal(30, 50, 1, mean=0.2)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b.flip(0), a), rel=1e-9)
    whole, other = seeded_kernel_distance(a, a.flip(0)), seeded_kernel_distance(a.flip(0), a)
    assert whole == pytest.approx(other)


@pytest.mark.parametrize("distance", [frechet_distance, lambda *of: seeded_kernel_distance(*of)[0]])
def test_a_shift_raises_both(distance):
    a = normal(60, 8, 0)
    found = [distance(a, normal(60, 8, 1, mean=shift)) for shift in (0.0, 0.3, 1.0)]
    assert found == sorted(found)
    assert found[2] > 3 * abs(found[0])


def test_few_images_bias_frechet_distance_and_not_kernel_distance():
    """Two samples of one distribution: the truth is 0 for both."""
    draws = range(40)
    frechet, kernel = {}, {}
    for count in (10, 40, 160):
        pairs = [(normal(count, 32, 2 * i), normal(count, 32, 2 * i + 1)) for i in draws]
        frechet[count] = torch.tensor([frechet_distance(a, b) for a, b in pairs])
        kernel[count] = torch.tensor([seeded_kernel_distance(a, b, subsets=1)[0] for a, b in pairs])
    assert frechet[10].min() > frechet[40].max() > frechet[160].max() > 1
    for values in kernel.values():
        standard_error = values.std() / len(draws) ** 0.5
        assert values.mean().abs() < 3 * standard_error


def test_kernel_distance_of_the_cubic_kernel_by_hand():
    """E k(x, y) = E (x.y / c + 1)^3 for point masses at 0 and at (2, 0): 1, and (4/2 + 1)^3."""
    zero, two = torch.zeros(4, 2), torch.tensor([[2.0, 0.0]] * 3)
    mean, sd = seeded_kernel_distance(zero, two)
    assert mean == pytest.approx(1 + 27 - 2 * 1)
    assert sd == pytest.approx(0)


def test_subsets_are_drawn_from_the_generator():
    a, b = normal(30, 4, 0), normal(40, 4, 1)
    first = seeded_kernel_distance(a, b, subset_size=10)
    assert first == seeded_kernel_distance(a, b, subset_size=10)
    other = kernel_distance(a, b, subset_size=10, generator=Generator().manual_seed(1))
    assert first != other
    assert first[1] > 0


def test_too_few_images_are_refused():
    a = normal(5, 3, 0)
    with pytest.raises(ValueError, match="sets of 1 and 5 images"):
        frechet_distance(a[:1], a)
    with pytest.raises(ValueError, match="a subset has 2 to 5 images"):
        seeded_kernel_distance(a, a, subset_size=6)
    with pytest.raises(ValueError, match="cannot be compared"):
        frechet_distance(a, a[:, :2])


def test_any_classifier_gives_features(tiny):
    images = torch.rand(3, 3, 30, 30, generator=Generator().manual_seed(0))
    assert feature_network(tiny, "conv2")(images).shape == (3, 12)


def test_inception_takes_weights_from_a_file_and_images_of_any_size(tmp_path, monkeypatch):
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    # At 75 px instead of 299, which takes a sixteenth of the time.
    monkeypatch.setattr(theirs.FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 75)
    with monkeypatch.context() as patched:  # the network without the weights that it would fetch
        patched.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patched.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = theirs.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path / "inception.pth"
    torch.save({name: value.half() for name, value in network.state_dict().items()}, path)
    images = torch.rand(2, 3, 75, 75, generator=Generator().manual_seed(0))
    extract = inception_features(path)
    found = extract(images)
    assert found.shape == (2, 2048)
    [expected] = network(images.mul(255).round().byte())
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    assert (found[0] - found[1]).abs().max() > 0
    assert extract(images[:1, :, :70, :90]).shape == (1, 2048)


def test_inception_weights_that_are_missing_or_another_networks(tmp_path, tiny):
    with pytest.raises(ValueError, match="there is no weights file"):
        inception_features(tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="is no weights file"):
        inception_features(tmp_path / "text.pth")
    torch.save(tiny.network.state_dict(), tmp_path / "tiny.pth")
    with pytest.raises(ValueError, match="do not fit torch-fidelity's Inception"):
        inception_features(tmp_path / "tiny.pth")
