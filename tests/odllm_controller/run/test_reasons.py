from odllm_controller.run import reasons


def test_what_shares_a_reason_is_told_in_one_line_with_each_name_once() -> None:
    told = [("a Q5_0", "openvino on laptop", "knows no Q5_0")] * 2
    told += [("b Q2_K", "openvino on laptop", "knows no Q2_K")]
    told += [("b Q5_0", "openvino on laptop", "knows no Q5_0")]
    assert reasons.lines(told) == [
        "a Q5_0, b Q5_0 with openvino on laptop: knows no Q5_0 (3 trials)",
        "b Q2_K with openvino on laptop: knows no Q2_K",
    ]


def test_the_same_reason_elsewhere_is_told_apart() -> None:
    told = [("a", "llama_cpp on one", "too large"), ("a", "llama_cpp on two", "too large")]
    assert len(reasons.lines(told)) == 2
