"""Graphs and settings as the real OpenVINO takes them, and what is refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13

from odllm_agent.contract import ModelFile
from odllm_agent.engines.openvino import model as engine
from odllm_agent.engines.openvino.attention import cache_ports
from odllm_agent.engines.settings import OpenVinoSettings
from odllm_agent.errors import EngineError, SettingError
from odllm_agent.formats.ir import MODEL
from odllm_agent.host.state import cpus
from tests.models import Shape, write_gguf
from tests.odllm_agent.engines.loading import described, load

pytestmark = pytest.mark.usefixtures("one_cache")


@pytest.fixture
def unfused(one_cache: None, tmp_path: Path) -> ModelFile:
    """A model that computes with bf16 on any processor and any number of threads.

    Where there is AMX, OpenVINO fuses the feed-forward part if its widths are multiples of 32, and
    2026.4.1 dies of one thread then (openvino #33300).
    """
    return described(write_gguf(tmp_path / "unfused-F16.gguf", Shape(ffn=272)))


@pytest.fixture(params=["paged", "stateful"])
def attention(request: pytest.FixtureRequest) -> str:
    form: str = request.param
    return form


@pytest.mark.parametrize(
    ("setting", "value", "prop", "found"),
    [
        ("threads", len(cpus()), "INFERENCE_NUM_THREADS", len(cpus())),
        ("performance_hint", "THROUGHPUT", "PERFORMANCE_HINT", "THROUGHPUT"),
        ("kv_cache_precision", "u8", "KV_CACHE_PRECISION", openvino.Type.u8),
        ("inference_precision", "f32", "INFERENCE_PRECISION_HINT", openvino.Type.f32),
        ("cpu_pinning", "off", "ENABLE_CPU_PINNING", False),
        ("cpu_pinning", "on", "ENABLE_CPU_PINNING", True),
        ("hyper_threading", "off", "ENABLE_HYPER_THREADING", False),
    ],
)
def test_every_setting_reaches_openvino(
    model: ModelFile, attention: str, setting: str, value: int | str, prop: str, found: object
) -> None:
    with load(model, attention=attention, **{setting: value}) as session:
        assert session._compiled.get_property(prop) == found  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"threads": 4096}, "threads=4096 cannot be had on this CPU"),
        ({"device": "NPU"}, "device=NPU cannot be had"),
    ],
)
def test_what_this_device_cannot_honour_is_refused_by_name(
    model: ModelFile, settings: dict[str, int | str], told: str
) -> None:
    with pytest.raises(SettingError, match=told) as caught:
        load(model, **settings)
    assert caught.value.remedy


def test_a_gpu_that_is_not_there_is_refused(model: ModelFile) -> None:
    if any(name.startswith("GPU") for name in openvino.Core().available_devices):
        pytest.skip("there is a GPU that OpenVINO can use")
    with pytest.raises(SettingError, match="device=GPU cannot be had: OpenVINO finds only CPU"):
        load(model, device="GPU", threads=0)


def test_a_precision_that_this_cpu_lacks_is_refused(model: ModelFile) -> None:
    if "FP16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU computes with f16")
    with pytest.raises(SettingError, match="inference_precision=f16 cannot be had"):
        load(model, inference_precision="f16", kv_cache_precision="auto")


@pytest.mark.parametrize(
    "setting",
    [
        {"threads": 2},
        {"cpu_pinning": "on"},
        {"hyper_threading": "off"},
        {"core_type": "efficiency"},
    ],
)
def test_what_is_of_the_cpu_is_refused_with_a_gpu(setting: dict[str, Any]) -> None:
    (name,) = setting
    with pytest.raises(SettingError, match=f"{name}=.* with device=GPU"):
        engine.refuse_settings_of_the_cpu(OpenVinoSettings(device="GPU", **setting))
    engine.refuse_settings_of_the_cpu(OpenVinoSettings(device="GPU"))


def test_the_system_says_what_was_left_to_openvino(model: ModelFile, attention: str) -> None:
    with load(model, attention=attention) as session:
        told = session.system.split(" | ")
    expected = {"INFERENCE_NUM_THREADS = 1", "KV_CACHE_PRECISION = f32", f"attention = {attention}"}
    assert expected <= set(told)


@pytest.mark.parametrize(
    ("inference", "kept"), [("f32", "f32"), ("f32", "f16"), ("f32", "u8"), ("auto", "u8")]
)
def test_blocks_have_the_type_that_was_asked_for(
    unfused: ModelFile, inference: str, kept: str
) -> None:
    with load(unfused, inference_precision=inference, kv_cache_precision=kept) as session:
        ports = cache_ports(session._compiled)  # type: ignore[attr-defined]
        assert {port.element_type.get_type_name() for port in ports.values()} == {kept}
        assert np.isfinite(session.logits([1, 2, 3])).all()


@pytest.mark.parametrize("kept", ["f32", "f16"])
def test_a_type_that_blocks_cannot_have_is_refused_beside_that_of_computing(
    unfused: ModelFile, kept: str
) -> None:
    """OpenVINO does not compile one, and says f16 of the other while its blocks are bf16."""
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute with bf16")
    with pytest.raises(SettingError, match=f"kv_cache_precision={kept} cannot be had") as caught:
        load(unfused, inference_precision="bf16", kv_cache_precision=kept)
    assert "kv_cache_precision" in caught.value.remedy


def test_a_graph_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    values = opset13.parameter([2, 3], np.float32, name="x")
    saved(tmp_path, opset13.relu(values), values)
    with pytest.raises(EngineError, match="it has no input attention_mask"):
        engine.read(openvino.Core(), tmp_path, "stateful")


def test_a_graph_that_cannot_be_paged_is_refused_with_the_form_that_it_has(tmp_path: Path) -> None:
    saved(tmp_path, *stateless_language_model())
    with pytest.raises(EngineError, match="with attention=paged: Model is supposed") as caught:
        engine.read(openvino.Core(), tmp_path, "paged")
    assert "set attention to stateful" in caught.value.remedy
    assert engine.read(openvino.Core(), tmp_path, "stateful")


def test_an_input_that_nobody_gives_is_refused(tmp_path: Path) -> None:
    types = opset13.parameter([-1], np.int64, name="token_type_ids")
    types.output(0).set_names({"token_type_ids"})
    saved(tmp_path, *stateless_language_model(), types)
    with pytest.raises(EngineError, match="it has a further input token_type_ids"):
        engine.read(openvino.Core(), tmp_path, "stateful")


def stateless_language_model() -> tuple[openvino.Node, ...]:
    """The logits and inputs of a language model that remembers nothing."""
    inputs = [
        opset13.parameter([-1, -1], np.int64, name=name)
        for name in ("input_ids", "attention_mask", "position_ids")
    ]
    inputs.append(opset13.parameter([-1], np.int32, name="beam_idx"))
    for each in inputs:
        each.output(0).set_names({each.get_friendly_name()})
    hidden = opset13.unsqueeze(opset13.convert(inputs[0], "f32"), opset13.constant(2, np.int64))
    logits = opset13.matmul(hidden, opset13.constant(np.ones((1, 8), np.float32)), False, False)
    logits.output(0).set_names({"logits"})
    return logits, *inputs


def saved(folder: Path, result: openvino.Node, *inputs: openvino.Node) -> None:
    openvino.save_model(openvino.Model([result], list(inputs), "small"), folder / MODEL)
