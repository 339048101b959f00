"""Networks of others in onnxruntime and PyTorch, as `cargo run --release --bin pretrained` runs them: ONNX files with batches of 1 and 8,
and an encoder of texts (a folder with config.json and model.safetensors) with 64 tokens and batches of 1 and 32.

    python bench/pretrained.py THREADS FILE.onnx|FOLDER...

Lines are `network<TAB>peer<TAB>batch<TAB>milliseconds<TAB>rows/s`, the best of some seconds.
"""
import io, json, struct, sys, time, warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn as nn
import torch.nn.functional as F

THREADS, PATIENCE, LENGTH = int(sys.argv[1]), 4.0, 64
torch.set_num_threads(THREADS)
warnings.simplefilter("ignore")


def best(call):
    call()
    least, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < PATIENCE:
        once = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - once)
    return least


def say(name, peer, batch, seconds):
    print(f"{name}\t{peer}\t{batch}\t{1e3 * seconds:.2f}\t{batch / seconds:.1f}", flush=True)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def with_batch(path, batch):
    """The network for so many rows: the sizes that the file names are those of one."""
    model = onnx.load(path)
    initialised = {tensor.name for tensor in model.graph.initializer}
    for value in list(model.graph.input) + list(model.graph.output):
        if value.name not in initialised:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]
    return model.SerializeToString()


class Encoder(nn.Module):
    """BERT with the mean of its steps."""

    def __init__(self, config, weights):
        super().__init__()
        self.config, self.heads = config, config["num_attention_heads"]
        for name, tensor in weights.items():
            self.register_buffer(name.replace(".", "_"), tensor)

    def linear(self, x, name):
        return F.linear(x, getattr(self, name + "_weight"), getattr(self, name + "_bias"))

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], getattr(self, name + "_weight"), getattr(self, name + "_bias"), self.config["layer_norm_eps"])

    def forward(self, ids):
        x = F.embedding(ids, self.embeddings_word_embeddings_weight) + self.embeddings_position_embeddings_weight[: ids.shape[1]]
        x = self.norm(x + self.embeddings_token_type_embeddings_weight[0], "embeddings_LayerNorm")
        batch, steps, width = x.shape
        for layer in range(self.config["num_hidden_layers"]):
            at = f"encoder_layer_{layer}_"
            parts = [self.linear(x, f"{at}attention_self_{name}") for name in ("query", "key", "value")]
            q, k, v = [part.view(batch, steps, self.heads, width // self.heads).transpose(1, 2) for part in parts]
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, steps, width)
            x = self.norm(x + self.linear(y, at + "attention_output_dense"), at + "attention_output_LayerNorm")
            y = self.linear(F.gelu(self.linear(x, at + "intermediate_dense")), at + "output_dense")
            x = self.norm(x + y, at + "output_LayerNorm")
        return x.mean(1)


def read(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    part = lambda info: raw[8 + size + info["data_offsets"][0] : 8 + size + info["data_offsets"][1]]
    floats = {name: info for name, info in header.items() if info["dtype"] == "F32"}
    return {name.removeprefix("bert."): torch.frombuffer(bytearray(part(info)), dtype=torch.float32).reshape(info["shape"]) for name, info in floats.items()}


for argument in sys.argv[2:]:
    path = Path(argument)
    if path.is_dir():
        encoder = Encoder(json.loads((path / "config.json").read_text()), read(path / "model.safetensors")).eval()
        for batch in (1, 32):
            ids = (1000 + torch.arange(batch * LENGTH) * 37 % 20000).view(batch, LENGTH)
            with torch.inference_mode():
                say(path.stem, "PyTorch", batch, best(lambda: encoder(ids)))
            file = io.BytesIO()
            torch.onnx.export(encoder, (ids,), file, dynamo=False, opset_version=17)
            runner = session(file.getvalue())
            feed = {runner.get_inputs()[0].name: ids.numpy()}
            say(path.stem, "onnxruntime", batch, best(lambda: runner.run(None, feed)))
    else:
        for batch in (1, 8):
            runner = session(with_batch(path, batch))
            first = runner.get_inputs()[0]
            shape = [batch] + [int(size) for size in first.shape[1:]]
            values = (np.arange(np.prod(shape)) % 251 / 251).astype(np.float32).reshape(shape)
            try:
                say(path.stem, "onnxruntime", batch, best(lambda: runner.run(None, {first.name: values})))
            except Exception:
                # A network that says in its reshapes how many rows there are.
                print(f"{path.stem}\tonnxruntime\t{batch}\tcannot be run with this batch", flush=True)
