"""A page follows the files of its runs: what it shows after they change, break, mend or become more."""

import shutil

from nudge.host.view.folder import MOST_RUNS
from nudge.host.view.watch import SECONDS, Watch


def test_a_run_that_breaks_while_it_is_shown_is_one_line_and_mends(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    watch = Watch([run])
    version = watch.news("")["version"]
    good = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(good[:100])
    news = watch.news(version)
    assert news["version"] == version
    assert "no safetensors" in news["error"]
    (run / "weights.safetensors").write_bytes(good)
    assert "tables" in watch.news(version)


def test_a_page_is_made_once_for_all_that_ask(runs, tmp_path):
    """It takes half a second: 150 readers that asked and left would block the server, even its end."""
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    watch = Watch([run])
    first = watch.page("/news")
    assert watch.page("/news") is first
    with (run / "metrics.csv").open("a") as stream:
        stream.write("2,20,20,10,50.0000,9.000\n")
    watch._made += SECONDS
    assert watch.page("/news") is first, "too soon for another"
    watch._made -= 3 * SECONDS
    assert watch.page("/news") != first


def test_a_run_that_comes_to_a_folder_comes_to_its_page(seeds, tmp_path):
    watch = Watch([tmp_path])
    assert watch.news("")["error"].startswith(f"no run at {tmp_path}: it has no weights.safetensors (yet)")
    shutil.copytree(seeds / "a", tmp_path / "a")
    one = watch.news("")
    assert watch.news(one["version"]) == {"version": one["version"]}
    shutil.copytree(seeds / "b", tmp_path / "b")
    two = watch.news(one["version"])
    assert two["structure"] != one["structure"]
    assert two["texts"]["progress"].endswith("2 of 2 runs have finished; 120 of 120 training samples")
    for number in range(MOST_RUNS):
        shutil.copytree(seeds / "a", tmp_path / f"copy {number}")
    assert watch.news(two["version"])["error"] == f"a page shows 1..{MOST_RUNS} runs, not {MOST_RUNS + 2}"
