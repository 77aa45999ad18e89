import dataclasses
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    READ,
    Anatomy,
    CeilingKey,
    Device,
    Engine,
    Failure,
    MeterReport,
    Method,
    ModelFile,
    ModelRequest,
    Outcome,
    PathTest,
    QualityCheck,
    Quantization,
    Reading,
    Rest,
    Source,
    Trial,
    Use,
    WeightGroup,
    Workload,
)
from odllm_agent.models.download.hub_file import HubFile
from odllm_controller.experiment.config import Experiment
from odllm_controller.overrides.conf import FOLDER
from odllm_controller.planning import plan
from tests import support
from tests.models import LADDER
from tests.odllm_controller.configs import experiment

TRIALS = tuple(
    dataclasses.replace(support.trial(), workload=Workload("w", 1, size)) for size in range(1, 25)
)


def of_types(*types: str, **settings: int | str) -> Trial:
    groups = tuple(WeightGroup(Use.TOKENS, kind, 10, 20) for kind in types)
    model = dataclasses.replace(support.model_file(), anatomy=Anatomy(groups))
    return support.trial(model, "id-of-laptop", **settings)


def test_ceilings_are_asked_for_once_per_engine_and_threads() -> None:
    two, one = plan.ceilings(
        support.device(), [of_types("Q4_0"), of_types("Q6_K", "Q4_0"), of_types("Q8_0", threads=1)]
    )
    assert two.names == ("Q4_0", "Q6_K", READ)
    assert one.names == ("Q8_0", READ)
    assert [each.engine.settings["threads"] for each in (two, one)] == [2, 1]


def test_ceilings_are_those_of_default_settings_whatever_the_trials_have() -> None:
    (order,) = plan.ceilings(support.device(), [of_types("Q4_0", ubatch_tokens=64, repack=False)])
    assert order.engine.settings["ubatch_tokens"] == 512
    assert order.engine.settings["repack"] is True


def test_what_is_known_is_not_asked_for_again_unless_the_engine_is_another() -> None:
    trial = of_types("Q4_0")
    known = {
        CeilingKey(trial.device_id, "llama_cpp", trial.engine.version, 2, name)
        for name in (READ, "Q4_0")
    }
    assert plan.ceilings(support.device(), [trial], known) == ()
    engine = dataclasses.replace(trial.engine, version="0.4.0")
    (order,) = plan.ceilings(support.device(), [dataclasses.replace(trial, engine=engine)], known)
    assert order.names == ("Q4_0", READ)
    (order,) = plan.ceilings(support.device(), [of_types("Q4_0", "Q6_K")], known)
    assert order.names == ("Q6_K",)


def test_a_gpu_has_no_ceilings_of_a_cpu() -> None:
    engine = Engine("openvino", "v", {"threads": 0, "device": "GPU"})
    gpu = dataclasses.replace(support.trial(), engine=engine)
    assert plan.ceilings(support.device(), [gpu, of_types("Q4_0", gpu_layers=3)]) == ()


METERED = support.device(meters=(MeterReport("rapl", ("package",), Method.MEASURED),))


def rests(device: Device, steps: tuple[plan.Step, ...], idle_s: float = 5.0) -> list[int]:
    """The places of the rests among the steps."""
    found = plan.rested(steps, device, ("auto",), idle_s)
    assert [each for each in found if isinstance(each, plan.Step)] == list(steps)
    wanted = {Rest(device.id, each.round, ("auto",), idle_s) for each in steps}
    assert {each for each in found if isinstance(each, Rest)} <= wanted
    return [place for place, each in enumerate(found) if isinstance(each, Rest)]


def test_a_metered_device_rests_before_every_round() -> None:
    steps = plan.steps(TRIALS[:3], 2, seed=1)
    assert rests(METERED, steps) == [0, 4]
    assert rests(METERED, steps[1:]) == [0, 3], "also where a round was begun before"


def test_a_device_without_meters_rests_once_and_nobody_rests_for_nothing() -> None:
    steps = plan.steps(TRIALS[:3], 2, seed=1)
    assert rests(support.device(), steps) == [0]
    assert rests(METERED, steps, idle_s=0) == []
    assert rests(METERED, ()) == []


def test_every_model_is_asked_for_at_every_type() -> None:
    wanted = plan.requests(experiment("quantizations=[Q4_0,Q8_0]"))
    assert len(wanted) == 6
    assert {each.quantization for each in wanted} == {Quantization("Q4_0"), Quantization("Q8_0")}


def test_a_file_taken_as_it_is_has_no_type_to_make() -> None:
    (wanted,) = plan.requests(experiment("model=[file]", "models.file.path=/m.gguf"))
    assert wanted.quantization is None
    assert wanted.location == "/m.gguf"


def test_a_shape_is_asked_for_by_its_architecture_and_seed() -> None:
    (wanted,) = plan.requests(experiment("model=[shape-qwen2.5-0.5B]", "quantizations=[Q4_0]"))
    assert (wanted.source, wanted.location, wanted.seed) == (Source.SHAPE, "qwen2.5-0.5B", 0)
    mine = "+models.mine={source: shape, architecture: llama-3.2-1B, seed: 3}"
    asked = plan.requests(experiment("model=[]", mine, "quantizations=[Q4_0]"))
    assert [(each.name, each.location, each.seed) for each in asked] == [
        ("mine", "llama-3.2-1B", 3)
    ]


def test_a_file_of_a_hub_is_asked_for_by_repository_file_and_revision() -> None:
    (wanted,) = plan.requests(
        experiment(
            "model=[hub]",
            "models.hub.repository=ACME/Tiny-GGUF",
            "models.hub.file=parts/tiny-00001-of-00002.gguf",
            "models.hub.revision=main",
        )
    )
    assert wanted.source is Source.HUB
    assert wanted.location == "ACME/Tiny-GGUF/parts/tiny-00001-of-00002.gguf@main"
    assert wanted.quantization is None


PUBLISHED = sorted(
    path.stem for path in (FOLDER / "model").glob("*B.yaml") if "source: hub" in path.read_text()
)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_model_is_named_as_a_hub_does_and_says_that_it_is_untried(
    name: str,
) -> None:
    wanted = plan.requests(experiment(f"model=[{name}]"))
    assert {each.quantization for each in wanted} == set(LADDER)
    (location,) = {each.location for each in wanted}
    assert str(HubFile.of(location)) == location
    assert "Not yet tried" in (FOLDER / "model" / f"{name}.yaml").read_text()


def test_a_published_model_and_its_shape_have_one_name() -> None:
    shapes = {path.stem for path in (FOLDER / "model").glob("shape-*.yaml")}
    assert len(PUBLISHED) == 9
    assert {f"shape-{name}" for name in PUBLISHED} <= shapes


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


@pytest.mark.parametrize(("quota_cores", "threads"), [(0.5, 1), (1.5, 1), (2.0, 2), (12.0, 8)])
def test_automatic_threads_are_no_more_than_a_quota_keeps_busy_on_any_engine(
    quota_cores: float, threads: int
) -> None:
    device = support.device(quota_cores=quota_cores, core_types={"performance": 8})
    config = experiment("engine=[llama_cpp,openvino]", "engines.llama_cpp.core_type=performance")
    trials = plan.trials(config, device, [support.model_file()])
    told = {trial.engine.name: trial.engine.settings["threads"] for trial in trials}
    assert told == {"llama_cpp": threads, "openvino": threads}


def test_threads_that_were_asked_for_are_not_refused_for_a_quota() -> None:
    engine = Engine("llama_cpp", "0.3.36", {"threads": 4})
    assert plan.why_not(support.forecast(of=engine), support.device(quota_cores=1.0)) is None


def test_automatic_threads_are_the_cores_of_the_type_that_is_asked_for() -> None:
    device = support.device(core_types={"performance": 2, "efficiency": 6})
    config = experiment("engines.llama_cpp.core_type=[any,performance,efficiency]")
    trials = plan.trials(config, device, [support.model_file()])
    told = {each.engine.settings["core_type"]: each.engine.settings["threads"] for each in trials}
    assert told == {"any": 8, "performance": 2, "efficiency": 6}


def test_a_trial_states_every_setting_and_the_version_on_its_device() -> None:
    (trial,) = plan.trials(experiment(), support.device(), [support.model_file()])
    assert trial.engine.version == "0.3.36+abc1234"
    assert {"kv_type_k", "ubatch_tokens", "repack"} <= set(trial.engine.settings)


def test_what_is_listed_twice_is_measured_once() -> None:
    config = experiment("engines.llama_cpp.threads=[2,2]")
    assert len(plan.trials(config, support.device(), [support.model_file()])) == 1


def test_a_candidate_per_type_engine_setting_and_workload_before_any_file_is_there() -> None:
    config = experiment(
        "quantizations=[Q4_0,Q8_0]",
        "engines.llama_cpp.threads=[1,2,2]",
        "workloads.short.depth_tokens=[0,512]",
    )
    found = plan.candidates(config, support.device())
    assert len(found) == 3 * 2 * 2 * 2
    assert {each.request for each in found} == set(plan.requests(config))


def test_what_fits_runs() -> None:
    assert plan.why_not(support.forecast(), support.device()) is None


def test_what_must_stay_in_memory_decides_and_not_the_peak() -> None:
    forecast = support.forecast(mapped_bytes=8_000_000_000, loaded_bytes=8_000_000_000)
    assert forecast.memory
    assert forecast.memory.peak_bytes > 16_000_000_000
    once_read = dataclasses.replace(forecast.memory, unread_bytes=8_000_000_000)
    for memory, fits in ((forecast.memory, False), (once_read, True)):
        told = dataclasses.replace(forecast, memory=memory, available_bytes=16_000_000_000)
        assert (plan.why_not(told, support.device()) is None) == fits


def test_what_does_not_fit_names_what_it_needs_and_what_there_is() -> None:
    forecast = support.forecast(mapped_bytes=8_000_000_000)
    small = dataclasses.replace(forecast, available_bytes=6_000_000_000)
    reason = plan.why_not(small, support.device())
    assert reason
    assert "8.5" in reason
    assert "6.00 GB are free" in reason


def test_what_an_engine_cannot_read_is_skipped_whatever_its_size() -> None:
    unreadable = dataclasses.replace(
        support.model_file(quantization="Q2_K"), tensor_types=("F32", "Q2_K", "Q3_K")
    )
    openvino = Engine("openvino", "2026.4.1", {"threads": 2})
    forecasts = [
        support.forecast(model, engine)
        for model in (support.model_file(), unreadable)
        for engine in (support.engine(), openvino)
    ]
    both = support.device(engines={"llama_cpp": "0.3.36", "openvino": "2026.4.1"})
    (skip,) = plan.skips(both, forecasts)
    assert (skip.model, skip.engine) == (unreadable, openvino)
    assert skip.workload == forecasts[3].candidate.workload
    assert "Q2_K or Q3_K" in skip.reason


def test_an_engine_that_cannot_tell_needs_at_least_the_file() -> None:
    untold = dataclasses.replace(support.forecast(), memory=None, reason="not told before")
    assert untold.model
    file_bytes = untold.model.file_bytes
    assert plan.why_not(untold, support.device()) is None
    tight = dataclasses.replace(untold, available_bytes=file_bytes)
    assert plan.why_not(tight, support.device())


def test_a_forecast_that_failed_skips_nothing() -> None:
    failure = Failure("ModelMissing", "no file")
    for failed in (
        dataclasses.replace(support.forecast(), model=None, memory=None, failure=failure),
        dataclasses.replace(support.forecast(), memory=None, available_bytes=1, failure=failure),
    ):
        assert plan.skips(support.device(), [failed]) == ()
        assert plan.runnable(support.device(), [failed]) == (failed.candidate.request,)


def test_an_engine_that_a_device_has_not_is_skipped_with_the_line_to_install_it() -> None:
    bare = support.device(engines={})
    (skip,) = plan.skips(bare, [support.forecast()])
    assert skip.reason == f"llama_cpp is not installed on {bare.name}: pip install llama-cpp-python"
    assert plan.runnable(bare, [support.forecast()]) == ()


def test_more_threads_than_a_device_has_are_skipped() -> None:
    cores = support.device().logical_cores
    for threads, runs in ((cores, True), (cores + 1, False)):
        engine = Engine("llama_cpp", "0.3.36", {"threads": threads})
        reason = plan.why_not(support.forecast(of=engine), support.device())
        assert (reason is None) == runs, reason


@pytest.mark.parametrize(
    ("device", "told"),
    [
        (support.device(), "core_type=efficiency, and laptop has cores of one type only"),
        (support.device(core_types={"performance": 2, "efficiency": 6}), None),
        (support.device(system="Windows 10.0.26100"), None),
    ],
)
def test_a_type_of_cores_that_a_device_has_not_is_skipped(device: Device, told: str | None) -> None:
    engine = Engine("llama_cpp", "0.3.36", {"threads": 2, "core_type": "efficiency"})
    assert plan.why_not(support.forecast(of=engine), device) == told


def test_a_file_is_made_only_if_something_runs_with_it() -> None:
    small, large = support.forecast(), support.forecast(mapped_bytes=10**12)
    request = ModelRequest("large", Source.REFERENCE, "large", Quantization("F16"))
    large = dataclasses.replace(
        large, candidate=dataclasses.replace(large.candidate, request=request)
    )
    assert plan.runnable(support.device(), [small, large, small]) == (small.candidate.request,)


def test_skipped_trials_are_left_out_of_the_plan() -> None:
    trials = [support.trial(threads=n) for n in (1, 2, 4)]
    assert plan.without(trials, [support.skip(trials[1])]) == (trials[0], trials[2])


def test_quality_is_checked_only_where_some_trial_runs() -> None:
    config = experiment()
    files = [support.model_file(), support.model_file(quantization="Q8_0")]
    checks = checks_of(config, *files)
    trials = plan.trials(config, support.device(), files)
    assert plan.of_trials(checks, trials[1:]) == checks[1:]


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


def test_rounds_beyond_those_of_every_trial_are_spare_and_change_no_order() -> None:
    every = plan.steps(TRIALS, 5, seed=7)
    found = plan.steps(TRIALS, 3, seed=7, rounds_at_most=5)
    assert [(step.trial, step.round) for step in found] == [
        (step.trial, step.round) for step in every
    ]
    assert all(step.spare == (step.round >= 3) for step in found)


def test_quality_is_checked_once_per_file_whatever_is_swept() -> None:
    config = experiment("engines.llama_cpp.threads=[1,2]")
    files = [support.model_file(), support.model_file(quantization="Q8_0")]
    checks = checks_of(config, *files)
    assert len(checks) == 2
    assert {check.engine.settings["threads"] for check in checks} == {1}


def test_what_has_no_quality_is_not_checked() -> None:
    shape = dataclasses.replace(support.model_file("shape"), no_quality="its weights are random")
    checks = checks_of(experiment(), support.model_file(), shape)
    assert [check.model.name for check in checks] == ["reference-1.6M"]


def checks_of(
    config: Experiment, *files: ModelFile, base: ModelFile | Failure | None = None
) -> tuple[QualityCheck, ...]:
    """The checks on the experiment's text, with the F16 file as the base unless told."""
    subjects = [plan.reading(config.quality, "text")] if config.quality.metrics else []
    found = base or support.model_file(quantization="F16")
    return plan.checks(
        config, support.device(), files, subjects, {file.name: found for file in files}
    )


def test_no_metric_no_check() -> None:
    assert checks_of(experiment("quality=none"), support.model_file()) == ()


def test_one_check_reads_the_text_once_for_all_its_scores() -> None:
    config = experiment("quality.max_windows=7", "quality.window_tokens=64")
    (check,) = checks_of(config, support.model_file())
    assert check.reading == Reading("reference", "text", 64, 7, config.quality.metrics)
    assert {"perplexity", "kld"} <= set(check.metrics)


def test_a_file_is_compared_with_its_source_as_it_is() -> None:
    config = experiment("model=[file]", "models.file.path=/m.gguf", "quantizations=[Q4_0,Q8_0]")
    (wanted,) = plan.base_requests(config)
    assert (wanted.location, wanted.quantization) == ("/m.gguf", None)
    base = support.model_file(quantization="F16")
    (check,) = checks_of(config, support.model_file(), base=base)
    assert (check.base, check.base_reason) == (base, "")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (support.model_file(quantization="Q8_0"), "its source is a Q8_0 file"),
        (Failure("ModelTooLarge", "needs 9 GB"), "needs 9 GB"),
    ],
)
def test_without_an_unquantized_file_the_check_says_why(
    found: ModelFile | Failure, told: str
) -> None:
    (check,) = checks_of(experiment(), support.model_file(), base=found)
    assert check.base is None
    assert told in check.base_reason


def test_every_task_is_a_check_of_its_own_and_code_is_allowed_by_name() -> None:
    config = experiment(
        "quality.tasks=[humaneval,gsm8k]",
        "quality.limit=5",
        "quality.allow_code_execution=[humaneval]",
    )
    exams = plan.exams(config.quality)
    assert [(each.task, each.limit, each.allow_code) for each in exams] == [
        ("humaneval", 5, True),
        ("gsm8k", 5, False),
    ]
    checks = plan.checks(config, support.device(), [support.model_file()], exams, {})
    assert [(check.exam, check.reading, check.base) for check in checks] == [
        (exam, None, None) for exam in exams
    ]


def test_perplexity_alone_needs_no_unquantized_file() -> None:
    config = experiment("quality.metrics=[perplexity]")
    assert plan.base_requests(config) == ()
    files = [support.model_file()]
    subject = plan.reading(config.quality, "text")
    (check,) = plan.checks(config, support.device(), files, [subject], {})
    assert (check.base, check.base_reason) == (None, "")


@pytest.mark.parametrize("seed", [0, 3])
def test_the_experiments_seed_draws_the_tokens(seed: int) -> None:
    (trial,) = plan.trials(experiment(f"seed={seed}"), support.device(), [support.model_file()])
    assert trial.workload.seed == seed


def of_type(kind: str) -> ModelFile:
    return dataclasses.replace(support.model_file(quantization=kind), tensor_types=(kind, "F32"))


def faulty(*tests: PathTest) -> Device:
    return support.device(builds={"llama_cpp": support.build("AMX_INT8 = 1", *tests)})


AMX_CRASHES = tuple(PathTest(kind, "amx", Outcome.CRASHED, "SIGSEGV") for kind in ("Q4_0", "Q8_0"))


def test_what_a_build_cannot_run_as_asked_is_planned_with_the_next_best() -> None:
    device = faulty(*AMX_CRASHES)
    files = [of_type("Q4_0"), of_type("Q8_0"), of_type("F16")]
    config = experiment("engines.llama_cpp.repack=[true,false]")
    trials = plan.trials(config, device, files)
    told = Counter((trial.model.quantization, trial.engine.settings["repack"]) for trial in trials)
    assert told == {
        ("Q4_0", False): 1,
        ("Q8_0", False): 1,
        ("F16", True): 1,
        ("F16", False): 1,
    }
    assert {trial.engine.build for trial in trials} == {device.builds["llama_cpp"].id}


def test_what_runs_in_another_way_is_told_in_one_line_for_all_its_types() -> None:
    files = [of_type("Q4_0"), of_type("Q8_0"), of_type("F16")]
    (line,) = plan.fallbacks(experiment(), faulty(*AMX_CRASHES), files)
    assert line.startswith("laptop: Q4_0, Q8_0 run on llama_cpp with repack=false")
    assert "this build's amx path crashes (SIGSEGV)" in line
    assert plan.fallbacks(experiment(), support.device(), files) == []


def test_a_quality_check_has_the_settings_that_both_its_files_run_with() -> None:
    config = experiment()
    device = faulty(PathTest("F16", "amx", Outcome.CRASHED, "SIGSEGV"))
    subjects = [plan.reading(config.quality, "text")]
    bases = {"reference-1.6M": of_type("F16")}
    (check,) = plan.checks(config, device, [of_type("Q4_0")], subjects, bases)
    assert check.engine.settings["repack"] is False


def test_ceilings_of_types_that_need_other_settings_are_an_order_of_their_own() -> None:
    device = faulty(*AMX_CRASHES)
    first, second = plan.ceilings(device, [of_types("F16", "Q4_0")])
    assert {first.names, second.names} == {("F16", READ), ("Q4_0",)}
    assert {each.names: each.engine.settings["repack"] for each in (first, second)} == {
        ("F16", READ): True,
        ("Q4_0",): False,
    }


def test_what_works_in_no_way_is_skipped_with_the_reason() -> None:
    device = faulty(PathTest("Q4_0", "plain", Outcome.WRONG, "off by 0.3"))
    (engine,) = plan.engines(experiment(), device)
    told = support.forecast(of_type("Q4_0"), engine)
    (skip,) = plan.skips(device, [told])
    assert "plain Q4_0 computes wrong values (off by 0.3)" in skip.reason
    assert plan.trials(experiment(), device, [of_type("Q4_0")]) == ()
