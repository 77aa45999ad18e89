import dataclasses
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Quantization, Trial, Workload
from odllm_controller import plan
from tests import support
from tests.odllm_controller.configs import experiment

TRIALS = tuple(
    dataclasses.replace(support.trial(), workload=Workload("w", 1, size)) for size in range(1, 25)
)


def test_every_model_is_asked_for_at_every_type() -> None:
    wanted = plan.requests(experiment("quantizations=[Q4_0,Q8_0]"))
    assert len(wanted) == 6
    assert {each.quantization for each in wanted} == {Quantization.Q4_0, Quantization.Q8_0}


def test_a_file_taken_as_it_is_has_no_type_to_make() -> None:
    (wanted,) = plan.requests(experiment("model=[file]", "models.file.path=/m.gguf"))
    assert wanted.quantization is None
    assert wanted.location == "/m.gguf"


def test_lists_are_swept_in_every_combination() -> None:
    config = experiment(
        "engines.llama_cpp.threads=[1,2]",
        "engines.llama_cpp.flash_attention=[on,off]",
        "workloads.short.prompt_tokens=[32,64,128]",
    )
    files = [support.model_file(), support.model_file(quantization="Q8_0")]
    trials = plan.trials(config, support.device(), files)
    assert len(trials) == 2 * 2 * 2 * 3
    assert len({trial.id for trial in trials}) == len(trials)


def test_automatic_threads_are_none_where_no_cpu_computes() -> None:
    config = experiment("engine=[openvino]", "engines.openvino.device=[CPU,GPU]")
    trials = plan.trials(config, support.device(), [support.model_file()])
    told = {trial.engine.settings["device"]: trial.engine.settings["threads"] for trial in trials}
    assert told == {"CPU": 8, "GPU": 0}


def test_automatic_threads_are_the_physical_cores_that_may_be_used() -> None:
    device = support.device(physical_cores=8, logical_cores=4)
    (trial,) = plan.trials(experiment(), device, [support.model_file()])
    assert trial.engine.settings["threads"] == 4


def test_a_trial_states_every_setting_and_the_version_on_its_device() -> None:
    (trial,) = plan.trials(experiment(), support.device(), [support.model_file()])
    assert trial.engine.version == "0.3.36+abc1234"
    assert {"kv_type_k", "ubatch_tokens", "repack"} <= set(trial.engine.settings)


def test_what_is_listed_twice_is_measured_once() -> None:
    config = experiment("engines.llama_cpp.threads=[2,2]")
    assert len(plan.trials(config, support.device(), [support.model_file()])) == 1


@given(st.permutations(TRIALS), st.integers(1, 5), st.integers(0, 2**32))
def test_each_round_visits_every_trial_once_in_an_order_of_its_own(
    trials: list[Trial], rounds: int, seed: int
) -> None:
    steps = plan.steps(trials, rounds, seed)
    assert Counter((step.trial.id, step.round) for step in steps) == Counter(
        (trial.id, index) for trial in trials for index in range(rounds)
    )
    assert [step.round for step in steps] == sorted(step.round for step in steps)
    assert steps == plan.steps(TRIALS, rounds, seed)


def test_orders_differ_between_rounds_and_between_seeds() -> None:
    def ids(seed: int, index: int) -> list[str]:
        return [step.trial.id for step in plan.steps(TRIALS, 2, seed) if step.round == index]

    assert ids(0, 0) != ids(0, 1)
    assert ids(0, 0) != ids(1, 0)
    assert ids(0, 0) != sorted(ids(0, 0))


@given(st.sets(st.tuples(st.sampled_from([trial.id for trial in TRIALS]), st.integers(0, 2))))
def test_leaving_out_what_is_finished_keeps_the_order_of_the_rest(
    finished: set[tuple[str, int]],
) -> None:
    every = plan.steps(TRIALS, 3, seed=7)
    left = plan.steps(TRIALS, 3, seed=7, finished=finished)
    assert left == tuple(step for step in every if (step.trial.id, step.round) not in finished)


def test_quality_is_checked_once_per_file_whatever_is_swept() -> None:
    config = experiment("engines.llama_cpp.threads=[1,2]")
    files = [support.model_file(), support.model_file(quantization="Q8_0")]
    checks = plan.checks(config, support.device(), files, "text")
    assert len(checks) == 2
    assert {check.engine.settings["threads"] for check in checks} == {1}


def test_no_metric_no_check() -> None:
    config = experiment("quality=none")
    assert plan.checks(config, support.device(), [support.model_file()], "text") == ()


@pytest.mark.parametrize("seed", [0, 3])
def test_the_experiments_seed_draws_the_tokens(seed: int) -> None:
    (trial,) = plan.trials(experiment(f"seed={seed}"), support.device(), [support.model_file()])
    assert trial.workload.seed == seed
