import re
from collections.abc import Callable, Sized

import pytest

from odllm_agent.contract import ImatrixSource, Source
from odllm_agent.engines.settings import ENGINE_SETTINGS, check_settings
from odllm_agent.errors import UsageError
from odllm_agent.formats.architectures import ARCHITECTURES
from odllm_controller.experiment.config import Experiment
from odllm_controller.overrides.conf import FOLDER
from tests.models import LADDER
from tests.odllm_controller.configs import experiment


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (FOLDER / "experiment").glob("*.yaml"))
)
def test_every_experiment_composes_and_carries_its_name(name: str) -> None:
    assert experiment(name=name).name == name


@pytest.mark.parametrize("path", sorted((FOLDER / "experiment").glob("*.yaml")), ids=str)
def test_every_experiment_says_what_it_asks_and_what_it_downloads(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert "?" in text
    assert re.search(r"\bdownloads\b", text, re.IGNORECASE)
    assert re.search(r"\d+ trials", text)


def test_the_reference_experiment_is_the_whole_ladder_on_every_engine_with_its_quality() -> None:
    ladder = experiment(name="reference")
    assert set(ladder.models) == {"reference-1.6M", "reference-2.8M", "reference-7.6M"}
    assert set(ladder.quantizations) == set(LADDER)
    assert set(ladder.engines) == set(ENGINE_SETTINGS) - {"simulated"}
    assert {"perplexity", "kld"} <= set(ladder.quality.metrics)


def test_the_sweep_is_a_real_model_at_eight_types_on_every_engine_with_its_quality() -> None:
    sweep = experiment(name="sweep")
    (model,) = sweep.models.values()
    assert (model.source, model.requantize, model.quantizations) == (Source.PACKAGE, True, None)
    assert len(sweep.quantizations) == 8
    assert {"Q6_K", "IQ4_XS"} <= set(sweep.quantizations)
    assert set(sweep.engines) == set(ENGINE_SETTINGS) - {"simulated"}
    assert {"perplexity", "kld"} <= set(sweep.quality.metrics)
    assert sweep.quality.tasks
    assert sweep.without_index == "reference"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("Q4_KM", "did you mean .*Q4_K_M"),
        ("Q4_K_M+imatrx", "no part of a quantization: write TYPE"),
        ("Q4_0+pure+pure", "no quantization: write TYPE"),
    ],
)
def test_a_misspelt_type_is_answered_with_what_was_meant(typed: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        experiment(f"quantizations=[{typed}]")


def test_every_type_and_what_departs_from_it_can_be_asked_for() -> None:
    asked = experiment("quantizations=[q6_k,IQ2_XS+imatrix,Q4_K_M+output:Q8_0,as_is]")
    assert asked.quantizations == ("Q6_K", "IQ2_XS+imatrix", "Q4_K_M+output:Q8_0", None)


def test_a_matrix_is_made_of_what_quality_does_not_read() -> None:
    asked = experiment("quantizations=[IQ2_XS+imatrix]", "quality.max_windows=40")
    (model, *_) = asked.models.values()
    assert asked.imatrix_of(model) == ImatrixSource("text:reference", 40 * 256)
    other = experiment("quantizations=[IQ2_XS+imatrix]", "imatrix=text:/my/text")
    assert other.imatrix_of(model) == ImatrixSource("text:/my/text", 0)
    alone = experiment("quantizations=[IQ2_XS+imatrix]", "quality=none")
    assert alone.imatrix_of(model) == ImatrixSource("text:reference", 0)


def test_no_matrix_is_made_of_all_that_quality_reads() -> None:
    with pytest.raises(UsageError, match="the text that quality is measured on, all of it"):
        experiment("quantizations=[IQ2_XS+imatrix]", "quality.max_windows=null")
    experiment("quantizations=[Q4_0]", "quality.max_windows=null")


def test_every_architecture_has_a_shape_to_pick() -> None:
    names = [path.stem for path in (FOLDER / "model").glob("shape-*.yaml")]
    models = experiment(f"model=[{','.join(names)}]").models
    assert {model.architecture for model in models.values()} == set(ARCHITECTURES)
    assert all(name == f"shape-{model.architecture}" for name, model in models.items())


def test_the_shapes_experiment_is_two_published_sizes_at_every_type() -> None:
    shapes = experiment(name="shapes")
    assert set(shapes.models) == {"shape-qwen2.5-0.5B", "shape-qwen2.5-1.5B"}
    assert set(shapes.quantizations) == set(LADDER)
    assert shapes.rounds >= 2, "or else there is no interval"
    assert shapes.rounds * shapes.repeats.at_least >= 6, "or else there is none either"


def test_the_paper_s_models_are_measured_at_its_types_with_its_tasks() -> None:
    paper = experiment(name="paper")
    assert all(model.source is Source.HUB for model in paper.models.values())
    assert len(paper.models) == 9
    assert set(paper.quantizations) == set(LADDER)
    assert {"gsm8k", "hellaswag", "mmlu"} <= set(paper.quality.tasks)


@pytest.mark.parametrize(
    ("name", "swept", "n"),
    [
        ("engines", lambda each: each.engines, 2),
        ("depth", lambda each: each.workloads["short"].depth_tokens, 5),
        ("threads", lambda each: each.engines["llama_cpp"]["threads"], 8),
        ("batch", lambda each: each.engines["llama_cpp"]["ubatch_tokens"], 5),
    ],
)
def test_an_experiment_sweeps_what_it_is_named_for(
    name: str, swept: Callable[[Experiment], Sized], n: int
) -> None:
    found = experiment(name=name)
    assert len(swept(found)) == n
    assert found.rounds * found.repeats.at_least >= 6, "or else there is no interval"


def test_no_trial_takes_more_rounds_than_every_one_unless_asked_for() -> None:
    assert experiment("rounds=4").most_rounds == 4
    assert experiment("rounds=4", "rounds_at_most=9").most_rounds == 9


@pytest.mark.parametrize(
    ("overrides", "longest_s"),
    [
        ((), 0),
        (("cooldown.pause_s=5",), 5),
        (("cooldown.below_c=60",), 60),
        (("cooldown.below_c=60", "cooldown.at_most_s=20", "cooldown.pause_s=5"), 25),
    ],
)
def test_nothing_is_waited_for_that_was_not_asked_for(
    overrides: tuple[str, ...], longest_s: float
) -> None:
    assert experiment(*overrides).cooldown.longest_s == longest_s


@pytest.mark.parametrize("engine", ENGINE_SETTINGS)
def test_the_engine_file_states_every_setting_at_its_default(engine: str) -> None:
    engines = experiment(f"engine=[{engine}]").engines
    stated = {name: values[0] for name, values in engines[engine].items()}
    assert stated == check_settings(engine, {"threads": 1}) | {"threads": "auto"}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("rounds=three", "rounds='three'"),
        ("rounds=0", "rounds=0"),
        ("rounds_at_most=2", "rounds=3 is more than rounds_at_most=2"),
        ("quantizations=[Q4_0,Q9_9]", "quantizations.1='Q9_9'"),
        ("workloads.short.prompt_tokens=-1", "workloads.short.prompt_tokens.0=-1"),
        ("workloads.short.prompt_tokens=[]", "workloads.short.prompt_tokens"),
        ("engines.llama_cpp.threads=fast", "threads='fast'"),
        ("+engines.llama_cpp.warp=9", "'warp'"),
        ("+engines.openvino.device=TPU", "device='TPU'"),
        ("+engines.abacus.beads=9", "abacus"),
        ("+models.mine.sauce=file", "models.mine.sauce"),
        ("+models.mine.source=thin_air", "models.mine.source='thin_air'"),
        ("+models.mine.source=file", "source=file needs path"),
        ("+models.mine.source=shape", "source=shape needs architecture"),
        (
            "+models.mine={source: file, path: /m, architecture: a}",
            "source=file has no architecture",
        ),
        ("+models.mine={source: reference, seed: 1}", "source=reference has no seed"),
        ("+models.mine={source: shape, architecture: a, seed: -1}", "models.mine.seed=-1"),
        ("+models.mine={source: hub, repository: a/b, file: c.gguf}", "source=hub needs revision"),
        ("+models.mine={source: reference, path: /m.gguf}", "source=reference has no path"),
        ("+models.mine={source: package, packages: ['a==1']}", "source=package needs sha256"),
        (f"+models.mine={{source: package, sha256: {'ab' * 32}}}", "source=package needs packages"),
        ("+models.mine={source: package, packages: ['a>=1']}", "models.mine.packages.0='a>=1'"),
        ("+models.mine={source: file, path: /m, packages: 'a==1'}", "source=file has no packages"),
        ("+models.mine={source: shape, architecture: a, file: m}", "source=shape has no file"),
        ("quality.metrics=[beauty]", "beauty"),
        ("power.idle_s=-1", "power.idle_s=-1"),
        ("+surprise=1", "surprise=1"),
        ("name=???", "name"),
        ("repeats.at_least=20", "repeats"),
        ("cooldown.below_c=cool", "cooldown.below_c='cool'"),
        ("cooldown.pause_s=-1", "cooldown.pause_s=-1"),
    ],
)
def test_a_wrong_value_is_named_as_the_command_line_would_name_it(override: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        experiment(override)
    assert told in caught.value.message
    assert caught.value.remedy


def test_an_estimate_and_a_meter_at_the_wall_are_added_by_what_only_their_user_knows() -> None:
    stated = experiment("power=estimate", "power.tdp_w=28").power
    assert stated.meters == ("auto", "estimate:tdp_w=28")
    beside = experiment("power=external", "power.path=/tmp/power.csv").power
    assert beside.meters == ("auto", "external:path=/tmp/power.csv")


@pytest.mark.parametrize(("power", "key"), [("estimate", "tdp_w"), ("external", "path")])
def test_what_only_the_user_knows_has_no_default(power: str, key: str) -> None:
    with pytest.raises(UsageError, match=f"power.{key}"):
        experiment(f"power={power}")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("+rownds=3", "rownds=3: there is no such setting; did you mean rounds?"),
        ("+fleet.actrs=2", "fleet.actrs=2: there is no such setting; did you mean actors?"),
        (
            "+experimnt=sweep",
            "experimnt='sweep': there is no such setting; did you mean experiment?",
        ),
    ],
)
def test_a_setting_that_a_plus_has_made_up_is_answered_with_what_was_meant(
    override: str, told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        experiment(override)
    assert refused.value.message == told


def test_a_misspelt_group_is_told_before_the_name_that_it_would_have_given() -> None:
    with pytest.raises(UsageError, match="did you mean experiment"):
        experiment("name=???", "+experimnt=sweep")


def test_a_simulated_fleet_needs_a_number_of_devices_and_of_processes() -> None:
    fleet = experiment("fleet.devices=30", "fleet.actors=2", name="simulated").fleet
    assert (fleet.kind, fleet.devices, fleet.actors) == ("simulated", 30, 2)
    for missing in ("devices", "actors"):
        with pytest.raises(UsageError, match=f"fleet=simulated needs {missing}"):
            experiment(f"fleet.{missing}=null", name="simulated")
    with pytest.raises(UsageError, match="fleet=local has no actors"):
        experiment("+fleet.actors=2", name="smoke")


@pytest.mark.parametrize("key", ["models.file.path", "store.path"])
@pytest.mark.parametrize("path", ["/m/${HOME}.gguf", "/m/${nothing:1}.gguf", "${store.nothing}"])
def test_a_reference_to_nothing_is_told_with_how_to_write_the_text(key: str, path: str) -> None:
    with pytest.raises(UsageError, match=f"{key} refers to what is not there") as told:
        experiment("model=[file]", "models.file.path=/m.gguf", f"{key}={path}")
    assert "\n" not in told.value.message
    assert r"write `\${name}`" in told.value.remedy
    meant = path.replace("${", r"\${")
    named = experiment("model=[file]", "models.file.path=/m.gguf", f'{key}="{meant}"')
    assert path in named.model_dump_json()


def test_a_setting_that_has_to_be_named_is_told_by_its_name() -> None:
    with pytest.raises(UsageError) as told:
        experiment("model=[file]")
    assert told.value.message == "models.file.path is not set"
    assert told.value.remedy == "set it: models.file.path=..."
