"""Room `training`: the policy that learns, and the drift of what it learned from."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

from tradespan import instruments
from tradespan import settings as setting
from tradespan.recorders.room import Room
from tradespan.semconv import metrics
from tradespan.semconv.model import Metric
from tradespan.settings import ConfigError

_ROOM = Room(metrics.TRAINING_CYCLES.room)
_TEMPLATE = metrics.TRAINING_POLICY_DRIFT_SCORE
_declared: dict[str, Metric] = {}
_lock = threading.Lock()


def open(*, training_types: Iterable[str] = ()) -> None:  # noqa: A001
    """Create the room's instruments. Never raises.

    Arguments:
        training_types: kinds of training to come; their counters stand at 0.
    """
    _ROOM.open(training_type=training_types)


def cycle(training_type: str, number: int = 1) -> None:
    """Count training cycles completed. Never raises.

    Arguments:
        training_type: such as `conversation`.
        number: of cycles.
    """
    _ROOM.record(metrics.TRAINING_CYCLES, number, training_type=training_type)


def policy(
    *,
    reward_avg: float | None = None,
    win_rate: float | None = None,
    rolling_roi: float | None = None,
    latency_ms: float | None = None,
) -> None:
    """Set what is known of the policy; what is None stays as it is. Never raises.

    Arguments:
        reward_avg: average reward.
        win_rate: share of episodes won, 0 to 1.
        rolling_roi: return over the rolling window, as a ratio.
        latency_ms: of the policy, milliseconds.
    """
    _ROOM.record(metrics.TRAINING_POLICY_REWARD_AVG, reward_avg)
    _ROOM.record(metrics.TRAINING_POLICY_WIN_RATE, win_rate)
    _ROOM.record(metrics.TRAINING_POLICY_ROLLING_ROI, rolling_roi)
    _ROOM.record(metrics.TRAINING_POLICY_LATENCY_MS, latency_ms)


def experience_buffer(size: int) -> None:
    """Set the number of experiences in the buffer. Never raises."""
    _ROOM.record(metrics.TRAINING_EXPERIENCE_BUFFER_SIZE, size)


def declare_drift(*features: str) -> None:
    """Name the features whose drift is measured: one gauge for each.

    Arguments:
        features: such as `RSI-14`, whose gauge is `training_policy_drift_score_rsi_14`. At most 50
            in a process; naming one again changes nothing.

    Raises:
        ConfigError: too many, a name without letters or digits, or two of one name in metrics.
    """
    with _lock:
        for feature in features:
            text = feature.lower() if isinstance(feature, str) else ""
            word = re.sub(r"[^a-z0-9]+", "_", text).strip("_")
            if not word or len(word) > 60:
                raise ConfigError("feature", feature, "1 to 60 letters or digits")
            metric = instruments.made(_TEMPLATE, word)
            twin = next((f for f, m in _declared.items() if m.name == metric.name), feature)
            if twin != feature:
                raise ConfigError("feature", feature, f"{twin} has the metric {metric.name}")
            if feature not in _declared and len(_declared) >= _TEMPLATE.most:
                raise ConfigError("feature", feature, f"at most {_TEMPLATE.most} features")
            _declared[feature] = metric


def drift(feature: str, score: float) -> None:
    """Set the drift of a declared feature. Never raises.

    Arguments:
        feature: as it was declared; one that was not is counted as overflow and left out.
        score: in the service's own measure, such as the population stability index.
    """
    with _ROOM.guard:
        metric = _declared.get(feature)
        if metric is not None:
            _ROOM.record(metric, score)
        elif setting.current.enabled:
            instruments.overflow(_TEMPLATE.template or "")


def reset() -> None:
    """Forget the declared features; for tests."""
    with _lock:
        _declared.clear()
