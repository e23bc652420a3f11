"""One peer of bench/conv.py in its own process: a line, a JSON object, for each command and each answer.

    python conv_worker.py konv | torch_nchw | torch_nhwc THREADS

{"layer": {...}}    makes the layer's data
{"pass": "grad_x"}  computes that pass once; answers with the result's `probe`, Konv with its error too
{"seconds": 0.05}   computes the pass once to warm up, then over and over for that long; answers with the mean
                    time of a call in `seconds`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from conv_layer import Array, ConvLayer

Runs = dict[str, Callable[[], Any]]


def konv_runs(layer: ConvLayer, x: Array, kernel: Array, grad: Array, algorithm: str = "auto") -> Runs:
    """Return the three passes of Konv."""
    from konv import ops

    how = {"strides": layer.stride, "padding": layer.padding, "algorithm": algorithm}
    return {
        "forward": lambda: ops.conv2d(x, kernel, **how),
        "grad_x": lambda: ops.conv2d_backward(grad, x, kernel, needs=("x",), **how)[0],
        "grad_kernel": lambda: ops.conv2d_backward(grad, x, kernel, needs=("kernel",), **how)[1],
    }


def torch_runs(layer: ConvLayer, x: Array, kernel: Array, grad: Array, channels_last: bool) -> Runs:
    """Return the three passes of PyTorch."""
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format
    tx, tg = (torch.from_numpy(a).permute(0, 3, 1, 2).contiguous(memory_format=layout) for a in (x, grad))
    tk = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(memory_format=layout)
    stride, padding = [layer.stride] * 2, [layer.padding] * 2

    def backward(index: int) -> Any:
        mask = [i == index for i in range(3)]
        return torch.ops.aten.convolution_backward(
            tg, tx, tk, None, stride, padding, [1, 1], False, [0, 0], 1, mask
        )[index]

    return {
        "forward": lambda: torch.nn.functional.conv2d(tx, tk, None, stride, padding),
        "grad_x": lambda: backward(0),
        "grad_kernel": lambda: backward(1),
    }


def konv_error(layer: ConvLayer, which: str, x: Array, kernel: Array, grad: Array) -> float:
    """Return the last image's error against the reference algorithm in float64, over the largest element."""
    image = slice(layer.N - 1, None)
    if which == "grad_kernel":  # a sum over all images: check that of the last image by itself
        found = konv_runs(layer, x[image], kernel, grad[image])[which]()
    else:
        found = konv_runs(layer, x, kernel, grad)[which]()[image]
    exact = [a.astype(np.float64) for a in (x[image], kernel, grad[image])]
    wanted = konv_runs(layer, *exact, algorithm="reference")[which]()
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def probe(result: Array) -> tuple[float, float]:
    """Return a random projection of a result (NHWC or HWIO), and the size that it would have by chance."""
    weights = np.random.default_rng(1).standard_normal(result.shape, dtype=np.float32)
    exact = result.astype(np.float64)
    return float((exact * weights).sum()), float(np.sqrt((exact * exact).sum()))


def as_konv_stores(result: Any, which: str) -> Array:
    """Return a result of PyTorch in Konv's order: NCHW as NHWC, OIHW as HWIO."""
    return (
        result.permute(2, 3, 1, 0).numpy() if which == "grad_kernel" else result.permute(0, 2, 3, 1).numpy()
    )


def seconds_per_call(run: Callable[[], Any], seconds: float) -> float:
    """Return the mean time of a call, calling for `seconds` after one call to warm up."""
    run()  # caches are another peer's, threads asleep
    calls, start, passed = 0, perf_counter(), 0.0
    while passed < seconds:
        run()
        calls += 1
        passed = perf_counter() - start
    return passed / calls


def main() -> None:
    """Answer commands until the input ends."""
    peer, threads = sys.argv[1], int(sys.argv[2])
    if peer == "konv":
        import konv

        konv.config.set_num_threads(threads)
    else:
        import torch

        torch.set_num_threads(threads)
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, Any] = {}
        if "layer" in command:
            layer = ConvLayer(**command["layer"])
            data = layer.data()
            runs = (
                konv_runs(layer, *data) if peer == "konv" else torch_runs(layer, *data, peer == "torch_nhwc")
            )
        elif "pass" in command:
            which = command["pass"]
            result = runs[which]()
            answer["probe"] = probe(result if peer == "konv" else as_konv_stores(result, which))
            if peer == "konv":
                answer["error"] = konv_error(layer, which, *data)
        else:
            answer["seconds"] = seconds_per_call(runs[which], command["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
