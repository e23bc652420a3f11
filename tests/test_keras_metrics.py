"""Metrics against Keras: results after each of two batches, and what names stand for."""

from __future__ import annotations

import numpy as np
import pytest

import konv
from keras_build import construct
from keras_fixtures import Case, for_each_case, rounding
from konv import metrics


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@for_each_case("metrics", having="metric")
def test_results(case: Case, weighted: bool) -> None:
    """Accuracies are counts, or sums of weights, over their total: exact but for the rounding of sums of 84
    terms at most, in float32 where Keras knows top-k in float32 only. Errors and cross-entropies are of order
    1 and below 100: their terms round as the losses' do."""
    metric = construct(konv, case["metric"])
    assert metric.name == case["shown_as"]
    y_true, y_pred, sample_weight = (case.array(name) for name in ("y_true", "y_pred", "sample_weight"))
    expected = case.array("weighted" if weighted else "unweighted")
    relative = rounding(y_pred.dtype, 84 + 40)
    for part, result in zip((slice(0, case["split"]), slice(case["split"], None)), expected, strict=True):
        weights = (sample_weight[part],) if weighted else ()
        metric.update_state(y_true[part], y_pred[part], *weights)
        assert metric.result() == pytest.approx(result, rel=relative, abs=relative)
    metric.reset_state()
    assert metric.result() == 0.0


@for_each_case("metrics", having="identifier")
def test_names(case: Case) -> None:
    y_true, y_pred = (np.zeros(shape) for shape in case["shapes"])
    metric = metrics.resolve(metrics.template(case["identifier"], "compile"), y_true, y_pred)
    assert (type(metric).__name__, metric.name) == (case["resolved"], case["shown_as"])
