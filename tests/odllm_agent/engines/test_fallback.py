"""What an engine runs a model with where its first choice does not work."""

from dataclasses import replace

import pytest

from odllm_agent.contract import Engine, ModelFile, Outcome, PathTest, Scalar
from odllm_agent.engines import fallback
from odllm_agent.engines.fallback import Tried
from odllm_agent.engines.settings import check_settings
from tests import support


def llama_cpp(**settings: Scalar) -> Engine:
    return Engine("llama_cpp", "v", check_settings("llama_cpp", {"threads": 2, **settings}))


def openvino(**settings: Scalar) -> Engine:
    return Engine("openvino", "v", check_settings("openvino", {"threads": 1, **settings}))


def file(*types: str) -> ModelFile:
    return replace(support.model_file(), tensor_types=types)


def tried(engine: str, *tests: PathTest, cores: int = 2) -> Tried:
    return Tried({engine: support.build("AMX_INT8 = 1", *tests)}, cores)


def crash(kind: str, path: str) -> PathTest:
    return PathTest(kind, path, Outcome.CRASHED, "SIGSEGV")


def test_what_works_is_run_as_it_was_asked_for() -> None:
    works = tried("llama_cpp", PathTest("Q4_0", "amx", Outcome.RIGHT))
    choice = fallback.choice(llama_cpp(), works, [file("Q4_0")])
    assert (choice.engine, choice.faults, choice.unusable) == (llama_cpp(), (), "")


def test_an_engine_that_told_nothing_of_its_build_is_run_as_it_was_asked_for() -> None:
    assert fallback.choice(llama_cpp(), Tried({}, 2), [file("Q4_0")]).engine == llama_cpp()


@pytest.mark.parametrize("path", ["amx", "repack", "kleidiai"])
def test_weights_whose_own_layout_crashes_stay_as_they_are_in_the_file(path: str) -> None:
    here = tried("llama_cpp", crash("Q4_0", path))
    choice = fallback.choice(llama_cpp(), here, [file("F32", "Q4_0")])
    assert choice.engine == llama_cpp(repack=False)
    assert choice.changed == {"repack": False}
    assert "repack=false" in choice.told
    assert f"this build's {path} path crashes (SIGSEGV)" in choice.told
    assert fallback.choice(llama_cpp(), here, [file("F16", "F32")]).engine == llama_cpp()


def test_wrong_values_count_as_much_as_a_crash() -> None:
    here = tried("llama_cpp", PathTest("Q4_K", "repack", Outcome.WRONG, "off by 0.5"))
    assert fallback.choice(llama_cpp(), here, [file("Q4_K")]).engine == llama_cpp(repack=False)


def test_what_was_asked_for_without_its_own_layout_is_no_change() -> None:
    here = tried("llama_cpp", crash("Q4_0", "amx"))
    choice = fallback.choice(llama_cpp(repack=False), here, [file("Q4_0")])
    assert (choice.engine, choice.faults) == (llama_cpp(repack=False), ())


def test_a_type_that_works_in_no_way_is_not_run_and_says_why() -> None:
    here = tried("llama_cpp", crash("Q4_0", "amx"), crash("Q4_0", "plain"))
    choice = fallback.choice(llama_cpp(), here, [file("Q4_0")])
    assert "plain Q4_0 crashes (SIGSEGV)" in choice.unusable


def test_keys_and_values_of_a_type_that_does_not_work_are_not_run() -> None:
    here = tried("llama_cpp", crash("Q8_0", "plain"))
    assert fallback.choice(llama_cpp(kv_type_k="q8_0"), here, [file("F16")]).unusable
    assert not fallback.choice(llama_cpp(), here, [file("F16")]).unusable


def test_of_several_files_all_must_run() -> None:
    here = tried("llama_cpp", crash("Q4_0", "amx"))
    files = [file("F16"), file("Q4_0")]
    assert fallback.choice(llama_cpp(), here, files).engine == llama_cpp(repack=False)


def test_openvino_with_one_thread_computes_in_f32_where_its_own_type_crashes() -> None:
    here = tried("openvino", PathTest("F16", "paged, one thread", Outcome.CRASHED, "SIGFPE"))
    choice = fallback.choice(openvino(), here, [file("F16", "F32")])
    assert choice.engine == openvino(inference_precision="f32")
    assert "SIGFPE" in choice.told
    assert fallback.choice(openvino(threads=2), here, [file("F16")]).engine == openvino(threads=2)


def test_openvino_left_to_itself_on_one_core_has_one_thread() -> None:
    here = tried("openvino", crash("F16", "paged, one thread"), cores=1)
    choice = fallback.choice(openvino(threads=0), here, [file("F16")])
    assert choice.engine.settings["inference_precision"] == "f32"


def test_openvino_takes_the_other_form_where_f32_does_not_work_either() -> None:
    broken = [crash("F16", f"paged, one thread{exact}") for exact in ("", ", f32")]
    choice = fallback.choice(openvino(), tried("openvino", *broken), [file("F16")])
    assert choice.engine == openvino(attention="stateful")


def test_a_precision_that_was_asked_for_by_name_is_never_changed() -> None:
    here = tried("openvino", crash("F16", "paged, one thread"))
    choice = fallback.choice(openvino(inference_precision="bf16"), here, [file("F16")])
    assert choice.engine == openvino(inference_precision="bf16")
    assert choice.unusable


def test_a_type_that_openvino_converts_alike_shares_what_was_found() -> None:
    here = tried("openvino", crash("Q8_0", "paged, one thread"))
    choice = fallback.choice(openvino(), here, [file("Q6_K")])
    assert choice.engine.settings["inference_precision"] == "f32"


def test_a_ceiling_of_a_type_is_measured_on_the_path_that_works() -> None:
    here = tried("llama_cpp", crash("Q4_0", "amx"))
    assert fallback.alone(llama_cpp(), here, "Q4_0") == llama_cpp(repack=False)
    assert fallback.alone(llama_cpp(), here, "F16") == llama_cpp()


def test_a_file_should_run_if_all_its_types_were_tried_and_are_right() -> None:
    right = PathTest("Q4_0", "plain", Outcome.RIGHT)
    here = tried("llama_cpp", right, crash("Q8_0", "amx"), crash("Q5_0", "plain"))
    assert fallback.should_run(llama_cpp(), here, file("F32", "Q4_0")) is True
    assert fallback.should_run(llama_cpp(), here, file("Q8_0")) is False
    assert fallback.should_run(llama_cpp(repack=False), here, file("Q8_0")) is True
    assert fallback.should_run(llama_cpp(), here, file("Q5_0")) is False


@pytest.mark.parametrize("types", [(), ("Q4_K",), ("Q4_0", "Q6_K")])
def test_of_what_was_not_tried_nothing_is_known(types: tuple[str, ...]) -> None:
    here = tried("llama_cpp", PathTest("Q4_0", "plain", Outcome.RIGHT))
    assert fallback.should_run(llama_cpp(), here, file(*types)) is None
    assert fallback.should_run(llama_cpp(), Tried({}, 2), file(*types)) is None
