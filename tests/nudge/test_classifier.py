"""`nudge.Classifier` is an estimator as scikit-learn demands it, with the bits of `nudge train`."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

import nudge
from nudge.plumbing.errors import SpecError

DIGITS = nudge.data("embedded")
ROWS, LABELS = DIGITS.train_images.flatten(1).numpy(), DIGITS.train_labels.numpy()

#: Checks that scikit-learn itself leaves out: without an array library that we don't use, and without pandas.
LEFT_OUT = {"check_array_api_input", "check_classifier_data_not_an_array"}


def test_all_checks_of_scikit_learn_hold():
    found = {
        check["check_name"]: check["status"] for check in check_estimator(nudge.Classifier(), on_skip=None)
    }
    assert len(found) > 40
    assert {name for name, status in found.items() if status != "passed"} <= LEFT_OUT


@pytest.mark.parametrize("network", ["tiny", nudge.Network.preset("tiny", seed=5)])
def test_the_weights_are_those_of_nudge_train(network):
    """Also with other labels than numbers, and whatever weights the given network has, which stay."""
    before = getattr(network, "weights", None)
    found = nudge.Classifier(network, epochs=1, seed=3, lr_scale=2).fit(ROWS, [f"digit {n}" for n in LABELS])
    same = nudge.Network.preset("tiny")
    assert same.fit("embedded", epochs=1, seed=3, lr_scale=2).finished
    for name, weights in same.weights.items():
        assert np.array_equal(found.network_.weights[name], weights)
        assert before is None or np.array_equal(network.weights[name], before[name])
    test = DIGITS.test_images
    assert found.predict(test.flatten(1)).tolist() == [f"digit {n}" for n in same.predict(test)]
    assert np.array_equal(found.decision_function(test.flatten(1)), same.to_module()(test))


def test_a_search_over_a_pipeline_finds_a_network_that_reads_digits():
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(MinMaxScaler(), nudge.Classifier(epochs=5))
    search = GridSearchCV(pipeline, {"classifier__lr_scale": [0.01, 1]}, cv=2).fit(X[:600], y[:600])
    assert search.best_params_ == {"classifier__lr_scale": 1}
    assert search.score(X[600:], y[600:]) > 0.8


def test_numbers_of_any_range_are_pixels():
    """The training images' range is mapped onto 0..255; what lies outside is clipped."""
    X, y = load_digits(return_X_y=True)
    images = np.rint(X[:100] * 255 / 16).astype(np.uint8)
    found = nudge.Classifier(epochs=1).fit(X[:100] - 7, y[:100])
    same = nudge.Classifier(epochs=1).fit(images, y[:100])
    assert (found.range_, same.range_) == ((-7, 9), (0, 255))
    shown = images[:20].astype(int) * 3
    assert np.array_equal(
        found.decision_function(shown * 16 / 255 - 7), same.decision_function(shown.clip(0, 255))
    )


@pytest.mark.parametrize(
    ("network", "X", "y", "says"),
    [
        (
            None,
            ROWS[:, :5],
            LABELS * 0,
            r"X has 5 features and y 1 class\(es\): a network has up to 4096 features",
        ),
        (None, np.zeros((100, 4097)), np.arange(100) % 2, "X has 4097 features .* and 2 to 64 classes"),
        (None, np.zeros((200, 4)), np.arange(200) % 65, r"y 65 class\(es\)"),
        ("tiny", ROWS[:, :-1], LABELS, r"X has 783 features .*: tiny has 784 pixels and 10 classes"),
        ("tiny", ROWS, LABELS % 9, r"y 9 class\(es\): tiny has"),
    ],
)
def test_data_that_no_network_takes_are_refused(network, X, y, says):
    with pytest.raises(ValueError, match=says):
        nudge.Classifier(network).fit(X, y)


def test_an_unknown_network_is_an_error_of_nudge():
    with pytest.raises(SpecError, match="unknown preset 'tyni'"):
        nudge.Classifier("tyni").fit(ROWS, LABELS)


def test_an_interrupted_fit_leaves_no_half_trained_network(monkeypatch):
    """Ctrl-C ends `Network.fit` early, without an exception."""
    result = type("Result", (), {"finished": False})
    monkeypatch.setattr(nudge.Network, "fit", lambda *given, **options: result)
    interrupted = nudge.Classifier()
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(ROWS, LABELS)
    assert not hasattr(interrupted, "network_")
