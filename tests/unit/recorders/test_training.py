"""The policy and its drift, as they are exported."""

from __future__ import annotations

from typing import Any

import pytest

from tradespan import instruments
from tradespan.recorders import training
from tradespan.settings import ConfigError


def test_cycles_by_type(telemetry: Any) -> None:
    """The type is the service's own word; one that is named stands at 0."""
    training.open(training_types=["conversation"])
    assert [p.value for p in telemetry.metric("training_cycles")] == [0]
    training.cycle("conversation")
    training.cycle("Replay", 2)
    assert telemetry.total("training_cycles", training_type="conversation") == 1
    assert telemetry.total("training_cycles", training_type="Replay") == 2


def test_the_policy_is_set_as_far_as_it_is_known(telemetry: Any) -> None:
    """What is None stays as it is."""
    training.policy(reward_avg=-0.5, win_rate=0.6)
    training.policy(rolling_roi=0.02, latency_ms=12.5)
    training.experience_buffer(10_000)
    prefix = "training_policy_"
    found = [telemetry.last(prefix + n) for n in
             ("reward_avg", "win_rate", "rolling_roi", "latency_ms")]  # fmt: skip
    assert found == [-0.5, 0.6, 0.02, 12.5]
    assert telemetry.last("training_experience_buffer_size") == 10_000


def test_one_gauge_for_each_declared_feature(telemetry: Any) -> None:
    """Its name is the feature's in the words of Prometheus."""
    training.declare_drift("RSI-14", "volume")
    training.declare_drift("volume")
    training.drift("RSI-14", 0.1)
    training.drift("volume", 0.2)
    training.drift("volume", 0.3)
    assert telemetry.last("training_policy_drift_score_rsi_14") == 0.1
    assert telemetry.last("training_policy_drift_score_volume") == 0.3


def test_a_feature_that_nobody_declared_is_overflow(telemetry: Any) -> None:
    """It makes no metric, whatever a service invents."""
    training.declare_drift("volume")
    for n in range(1000):
        training.drift(f"feature-{n}", 0.1)
    telemetry.metric("")
    assert not [name for name in telemetry.points if name.startswith("training_policy_drift")]
    assert telemetry.total("tradespan.telemetry.overflow", attribute="feature") == 1000


def test_drift_goes_on_under_a_new_provider(telemetry: Any) -> None:
    """What was declared before the SDK was there is not lost."""
    training.declare_drift("volume")
    instruments.reset()
    training.drift("volume", 0.3)
    assert telemetry.last("training_policy_drift_score_volume") == 0.3


@pytest.mark.parametrize("name", ["", "---", "é", "x" * 61, None, 5, []])
def test_a_feature_needs_a_name(name: Any) -> None:
    """A wrong declaration is said at start."""
    with pytest.raises(ConfigError, match="letters or digits"):
        training.declare_drift(name)


def test_two_features_cannot_share_a_gauge() -> None:
    """Or one would hide the other."""
    training.declare_drift("rsi-14")
    with pytest.raises(ConfigError, match="rsi-14 has the metric"):
        training.declare_drift("rsi_14")


def test_features_are_bounded() -> None:
    """A model with thousands of features declares those that matter."""
    training.declare_drift(*(f"f{n}" for n in range(50)))
    with pytest.raises(ConfigError, match="at most 50"):
        training.declare_drift("one more")
