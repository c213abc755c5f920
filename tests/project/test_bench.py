"""The benchmarks compare what they say they compare."""

import sys
from dataclasses import replace
from pathlib import Path

import made_up
import pytest
import torch

from difflr import make_plan, split_model
from difflr.experiments import augmentation
from difflr.experiments.backbones import load_backbone
from difflr.experiments.data import Images
from difflr.experiments.training import Classifier, fit
from difflr.studies.cell import Cell
from difflr.studies.design import Task
from difflr.studies.trial import run_trial

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """Let the scripts of the benchmarks be imported, as they import each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for script in BENCHMARKS.glob("*.py"):
        sys.modules.pop(script.stem, None)


def test_rivals_train_on_the_batches_that_difflr_trains_on(benchmarks, monkeypatch):
    """Pictures, order, shifts, flips and normalisation are equal bit by bit, epoch after epoch."""
    import rivals

    torch.manual_seed(0)
    images = Images(torch.randint(0, 256, (20, 3, 32, 32)).to(torch.uint8), torch.arange(20) % 2)
    backbone, seen = load_backbone("strokenet"), []
    network = backbone.build(2)
    network.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    model = Classifier(
        network, make_plan("uniform", 6, 2), mean=backbone.mean, std=backbone.std, flip=True, seed=3
    )
    fit(model, images, seed=3, batch_size=8)
    batches = rivals.Batches(images, backbone, seed=3, size=8, flip=True)
    fed = [pixels for _ in range(2) for pixels, _ in batches]
    assert len(fed) == len(seen) == 2 * len(batches)
    assert all(torch.equal(one, other) for one, other in zip(fed, seen, strict=True))
    assert augmentation.augment is rivals.augment


def test_the_peers_are_tuned_around_the_rates_that_the_study_found(benchmarks, tmp_path):
    """Those of other packages, from their reported rates; defaults, not tuned, stay out, as does difflr."""
    import accuracy

    recording = made_up.shifts(tmp_path)
    told = {"falling": "fastai.fine_tune", "first_splits": "other", "head_only": "other:defaults"}
    runs = [
        replace(run, plan=None, cell=replace(run.cell, recipe=told[run.cell.recipe]))
        if run.cell.recipe in told
        else run
        for run in recording.where(shift="none")
    ]
    found = accuracy.recorded_rates(replace(recording, runs=runs), 2)
    assert found == {"other": 1e-3, "fastai.fine_tune": 3e-2}


def test_a_rate_is_chosen_with_its_neighbours_on_validation_pictures(benchmarks):
    """Outwards as long as it gets better, three seeds each; what that took is counted."""
    import accuracy

    asked = []

    def run(lr, seed, on):
        asked.append((lr, seed, on))
        return accuracy.Trained({3e-4: 0.6, 1e-3: 0.7, 3e-3: 0.8, 1e-2: 0.7}.get(lr, 0.1), 2.0)

    assert accuracy.choose(run, 3e-4) == (3e-3, pytest.approx(0.8), 15, 30.0)
    assert {lr for lr, _, _ in asked} == {1e-4, 3e-4, 1e-3, 3e-3, 1e-2}
    assert {(seed, on) for _, seed, on in asked} == {(i, "validation") for i in range(3)}
    asked.clear()
    assert accuracy.choose(run, 3e-2).lr == 3e-3, "an end of the grid has one neighbour"


def test_reached_is_the_mean_of_the_peer_that_is_best_on_validation_pictures(benchmarks):
    """Half of the time counts only with no lower a mean on test pictures; their best peer comes second."""
    import accuracy

    def runs(*accuracies, seconds):
        return {i: accuracy.Trained(a, seconds) for i, a in enumerate(accuracies)}

    found = {
        "lucky": runs(0.9, 0.9, 0.9, seconds=1.0),
        "peer": runs(0.64, 0.66, 0.65, seconds=10.0),
        "as good": runs(0.65, 0.65, 0.65, seconds=4.0),
        "slow": runs(0.65, 0.65, 0.65, seconds=6.0),
        "a little worse": runs(0.63, 0.66, 0.65, seconds=4.0),
    }
    chosen = {name: accuracy.Chosen(1e-3, 0.6, 9, 18.0) for name in found}
    chosen["peer"] = accuracy.Chosen(3e-4, 0.7, 12, 118.0)
    own = ["as good", "slow", "a little worse"]
    best, lucky = accuracy.best_rivals(found, chosen, ["lucky", "peer"])
    assert (best, lucky) == ("peer", "lucky")
    assert accuracy.best_rivals(found, chosen, ["peer"]) == ["peer"]
    text = accuracy.summary(found, chosen, best, own)
    goals = [line.split("|")[-2].strip() for line in text.splitlines()[2:]]
    assert goals == ["", "", "≤ 50%: met", "≤ 50%: missed", "≤ 50%: missed"]
    assert "| 0.0003 | 12 runs, 118 s | 65.0% ± 2.5 | 10.0 | 1.00 (1.00 to 1.00) |" in text
    assert "0.40 (0.40 to 0.40)" in text


def test_the_short_way_lets_more_and_more_splits_train(benchmarks):
    """From the last two on, at one rate that decays in the last epoch; the first stays frozen."""
    import accuracy

    splits = split_model(load_backbone("strokenet").build(2))
    plan = accuracy.short_plan(splits, 1e-2)
    assert [(min(phase.trained), phase.epochs) for phase in plan.phases] == [(4, 2), (2, 1), (1, 1)]
    for step, first in ((0, 4), (19, 4), (20, 2), (29, 2), (30, 1)):
        rates = plan.lrs(step, 10)
        assert set(rates[first:]) == {1e-2}
        assert set(rates[:first]) == {0.0}
    assert 0 < max(plan.lrs(39, 10)) < 1e-3
    two_rates = accuracy.short_plan(splits, 1e-2, body=10.0)
    assert two_rates.lrs(20, 10) == pytest.approx((0, 0, 1e-3, 1e-3, 1e-3, 1e-2))


def test_the_curve_draws_each_package_over_its_time(benchmarks):
    """A line each: accuracy over the share of the seconds that the peer's six epochs take."""
    import curve
    from accuracy import Chosen, Trained

    runs = {
        (curve.THEIRS, 3): {0: Trained(0.60, 5.0), 1: Trained(0.62, 5.0)},
        (curve.THEIRS, 6): {0: Trained(0.66, 10.0), 1: Trained(0.66, 10.0)},
        (curve.OURS, 4): {0: Trained(0.65, 4.0), 1: Trained(0.67, 4.0)},
    }
    axes = curve.draw(runs).axes[0]
    drawn = {line.get_label(): line[0].get_xydata().ravel().tolist() for line in axes.containers}
    expected = {curve.THEIRS: [0.5, 61.0, 1.0, 66.0], curve.OURS: [0.4, 66.0]}
    assert drawn == {name: pytest.approx(points) for name, points in expected.items()}
    chosen = Chosen(1e-3, 0.6, 12, 60.4)
    row = next(
        line
        for line in curve.summary(runs, dict.fromkeys(runs, chosen)).splitlines()
        if "0.40" in line
    )
    assert row.startswith("| difflr | 4 | 0.001 | 12 runs, 60 s | 66.0% ± 12.7 |")


def test_rivals_can_do_without_augmentation(benchmarks):
    """Their pictures are then the same in every epoch: shuffled and normalised, nothing else."""
    import rivals

    pixels = torch.randint(0, 256, (8, 3, 32, 32)).to(torch.uint8)
    images, backbone = Images(pixels, torch.arange(8) % 2), load_backbone("strokenet")
    batches = rivals.Batches(images, backbone, seed=3, size=8, flip=False, translate=0)
    fed = torch.cat([x for x, _ in batches])
    expected = batches.normalise(pixels)
    assert sorted(map(float, fed.sum((1, 2, 3)))) == pytest.approx(
        sorted(map(float, expected.sum((1, 2, 3))))
    )


def test_rivals_are_measured_as_our_own_recipes_are(benchmarks, tmp_path, monkeypatch):
    """A run of another package goes into the study's journal, from the same head, with every measure."""
    import rivals

    task = Task(test_size=60, batch_size=20, probes=20, curve=20)
    seen = []

    def nothing(network, batches, held, epochs, *, lr):
        seen.append((network.state_dict()["fc.weight"].clone(), len(batches), epochs, lr))

    monkeypatch.setitem(rivals.RIVALS, "none", rivals.Rival(nothing, "kept", 1e-2))
    (cell,) = rivals.rivals_study(task, ["none"], 40, [2]).cells
    run = rivals.run_rival(task, cell, 0, "test")
    assert seen[0][1:] == (2, 2, 1e-2)
    assert run["displacement"] == run["drift"] == [0.0] * 6
    assert run["source_accuracy"] == run["source_before"]
    own = run_trial(task, Cell("uniform", {"lr": 1e-3}, 40, 2), 0, "test")
    assert set(run) == set(own)
    assert run["source_before"] == own["source_before"]
    backbone = load_backbone("strokenet")
    torch.manual_seed(0)  # as every run of ours from seed 0
    assert torch.equal(seen[0][0], backbone.build(10).state_dict()["fc.weight"])


def test_candidates_take_turns(benchmarks):
    """Each runs once to warm up and then as often as the others, not always in the same order."""
    import timing

    calls = []
    jobs = {name: timing.whole(lambda name=name: calls.append(name)) for name in "ab"}
    seconds = timing.alternate(jobs, rounds=2)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_steps_take_turns_and_their_typical_ratio_has_an_interval(benchmarks):
    """After each step the other's; the median and its interval do not mind a few that were disturbed."""
    import timing

    calls = []
    turns = timing.Turns(lambda: calls.append("other"))
    for _ in range(2):
        turns.begin()
        for _ in range(3):
            calls.append("own")
            turns.turn()
    assert calls == ["own", "other"] * 6
    assert len(turns.own) == len(turns.others) == 6
    own = [1.1] * 41 + [1.2] * 39 + [1.3] * 17 + [99.0] * 3
    found = timing.typical(own, [1.0] * 100)
    assert found == (1.2, 1.1, 1.2)
    assert timing.typical([2.0, 3.0], [1.0, 1.0]) == (2.5, 2.0, 3.0)


def test_the_profile_counts_all_of_a_step_once(benchmarks, few):
    """Every event goes to one part, and each part has events in a step of training."""
    import ideal
    import steps

    step = ideal.ideal_step(*few, 8)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        step()
    keys = [event.key for event in profiler.key_averages()]
    counted = steps.shares((key, 1) for key in keys)
    assert sum(counted.values()) == len(keys)
    assert all(counted.values())
    lines = steps.profiled(step, 1).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == [*steps.PARTS, "all else"]


def test_ratios_are_of_the_same_round_and_goals_are_counted(benchmarks):
    """A machine that slows down in mid-bench meets both; what misses its goal is found in the tables."""
    import bench
    import timing

    assert timing.ratio([1.0, 10.0, 3.0], [1.0, 5.0, 2.0]) == (1.5, 1.0, 2.0)
    rows = [
        ("a", timing.against_goal(1.05, "≤", 1.05)),
        ("b", timing.against_goal(1.4, "≥", 1.5, " s")),
    ]
    text = timing.table(("what", "goal"), rows)
    assert bench.goals(text.splitlines()) == (1, ["| b | ≥ 1.5 s: missed |"])


@pytest.fixture
def few():
    """A few pictures, and a network that is trained on them in no time."""
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (16, 3, 32, 32)).to(torch.uint8)
    return load_backbone("strokenet"), Images(pixels, torch.arange(16) % 10)


@pytest.mark.parametrize("name", ["limit_epoch", "difflr_epoch", "usual_epoch"])
def test_a_candidate_trains_every_layer_and_counts_the_epoch_alone(
    benchmarks, few, monkeypatch, name
):
    """Every weight moves, by all batches; what Lightning does before and after them is not counted."""
    import candidates
    import timing

    start, images = few
    network, seen = start.build(10), []
    network.register_forward_hook(lambda *_: seen.append(1))
    monkeypatch.setattr(type(start), "build", lambda *_: network)

    class Watch(timing.Stopwatch):
        def start(self):
            super().start()
            self.first = len(seen)

        def stop(self):
            super().stop()
            self.last = len(seen)

    candidate, watch = getattr(candidates, name)(start, images, 8), Watch()
    before = [p.detach().clone() for p in network.parameters()]
    in_all = timing.measure(lambda: candidate(watch))
    assert not any(map(torch.equal, before, network.parameters()))
    assert (watch.first, watch.last) == (0, 2)
    assert 0 < watch.seconds < in_all


def test_kept_features_give_the_network_that_is_compared(benchmarks, few):
    """The table of head-only phases says how far apart both networks' logits are: next to nothing."""
    import phases

    cells = phases.kept(*few, "wall", (3,)).splitlines()[2].split("|")
    assert int(cells[1]) == 3
    assert float(cells[5]) < 1e-3


def test_the_ideal_trains_what_the_plan_trains(benchmarks, few):
    """The same splits move, by the same steps, so that both do the same work."""
    import ideal
    import steps
    import timing

    start, images = few
    networks = []
    build = start.build
    start.__dict__["build"] = lambda n: networks.append(build(n)) or networks[-1]
    step = ideal.ideal_step(start, images, 8, 4)
    for make in steps.RUNGS.values():
        turns = timing.Turns(step)
        make(start, images, 8, 4, False)(turns, 2)
        assert len(turns.own) == len(turns.others) == 4
    assert len(networks) == 1 + len(steps.RUNGS)
    torch.manual_seed(0)
    fresh = split_model(build(10))
    for network in networks:
        moved = [
            any(
                not torch.equal(value, split.parameters[name])
                for name, value in trained.parameters.items()
            )
            for split, trained in zip(fresh, split_model(network), strict=True)
        ]
        assert moved == [False] * 4 + [True] * 2


def test_hooks_are_counted_and_put_back(benchmarks, few):
    """Scheduler and callback take some of an epoch while they are counted, and are as before after it."""
    import ideal
    import overhead

    start, images = few
    step = overhead.PlanScheduler.step
    with overhead._counted("wall") as spent:
        fit(ideal.frozen_model(start, 0), images, seed=0, batch_size=8)
    assert all(seconds > 0 for seconds in spent.values())
    assert overhead.PlanScheduler.step is step


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, which Linux has")
def test_the_peak_is_what_a_job_needs_beyond_what_was_there(benchmarks):
    """What was freed before it began does not hide it."""
    import memory

    earlier = torch.ones(40 << 20)
    del earlier
    assert 60 < memory.peak(lambda: torch.ones(16 << 20)) < 80


def test_the_default_share_of_the_cores_is_among_the_measured_ones(benchmarks):
    """On any number of cores, beside the plain loop over the runs."""
    import jobs

    for cores in (1, 2, 8):
        found = jobs.ways(Task(), Cell("uniform"), cores)
        assert {(0, cores), (cores, 1), (1, cores)} <= set(found)
