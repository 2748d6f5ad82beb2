"""The picture of a run has a logarithmic axis and all errors of the run, however few."""

from matplotlib.figure import Figure

from nudge.golden.training.curve import plot_curve
from nudge.golden.training.metrics import Epoch, Row


def drawn(monkeypatch, path, *arguments):
    """Draw a picture; return x and y of each line of its panel, by label."""
    figures = []
    save = Figure.savefig

    def keep(self, *rest, **options):
        figures.append(self)
        save(self, *rest, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    plot_curve(path, *arguments)
    assert path.read_bytes().startswith(b"\x89PNG")
    (panel,) = figures[0].axes
    assert panel.get_yscale() == "log"
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in panel.lines}


def test_a_picture_of_no_rows(tmp_path, monkeypatch):
    lines = drawn(monkeypatch, tmp_path / "curve.png", [], [], "nothing yet", 12.5)
    assert lines["test: 12.50 %"] == ([0], [12.5])


def test_every_error_of_a_run_is_drawn_none_wrong_too(tmp_path, monkeypatch):
    rows = [Row(0, 100, 100, 20, 20.0, 1.0), Row(0, 200, 100, 0, 10.0, 2.0)]
    epochs = [Epoch(1, 200, 10.0, 4.0, 2.0)]
    lines = drawn(monkeypatch, tmp_path / "curve.png", rows, epochs, "two commits", 0.3)
    assert lines == {
        "training, last 100 samples; none wrong is drawn as 0.5 %": ([100, 200], [20.0, 0.5]),
        "held out, after each epoch": ([200], [4.0]),
        # below 0.5 %, but above 0
        "test: 0.30 %": ([200], [0.3]),
    }


def test_epochs_without_held_out_images_have_no_points(tmp_path, monkeypatch):
    epochs = [Epoch(1, 100, 10.0, None, 2.0)]
    assert set(
        drawn(monkeypatch, tmp_path / "curve.png", [Row(0, 100, 100, 5, 5.0, 1.0)], epochs, "one")
    ) == {"training, last 100 samples"}
