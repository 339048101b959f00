"""Makes the files of this folder, with PyTorch, onnx and onnxscript: python make.py

Three networks, small, in evaluation mode: `resnet` in the layout of torchvision's ResNet-18, `bert` in that of Hugging Face's
BERT with a classifier on the mean of the real tokens, `tagger`, two layers of LSTM in both directions with a class for each
token. Each becomes

    NAME.safetensors, NAME.pt      the state dictionary
    NAME.onnx                      by PyTorch's exporter of today (dynamo)
    NAME.torchscript.onnx          by its older one
    NAME.expected.safetensors      inputs, outputs, the mean cross-entropy, and its gradient for every parameter by its name:
                                   PyTorch's autograd in float64 at the same float32 weights, rounded to float32
"""

import json
import math
import pathlib

import onnx
import torch
from torch import nn
from torch.nn import functional as F

here = pathlib.Path(__file__).parent
TIME = 7


class Block(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inside, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, widths, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = widths[0]
        for number, width in enumerate(widths, 1):
            blocks = nn.Sequential(Block(inside, width, 1 if number == 1 else 2), Block(width, width, 1))
            setattr(self, f"layer{number}", blocks)
            inside = width
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inside, classes)

    def forward(self, pictures):
        x = self.maxpool(F.relu(self.bn1(self.conv1(pictures))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Named(nn.Module):
    """Modules below the names that Hugging Face gives them."""

    def __init__(this, /, **modules):
        super().__init__()
        for name, module in modules.items():
            this.add_module(name, module)


class BertLayer(nn.Module):
    def __init__(self, width, heads, mlp, eps):
        super().__init__()
        square = lambda: nn.Linear(width, width)
        norm = lambda: nn.LayerNorm(width, eps=eps)
        parts = Named(query=square(), key=square(), value=square())
        self.attention = Named(self=parts, output=Named(dense=square(), LayerNorm=norm()))
        self.intermediate = Named(dense=nn.Linear(width, mlp))
        self.output = Named(dense=nn.Linear(mlp, width), LayerNorm=norm())
        self.heads = heads

    def forward(self, x, mask):
        parts = self.attention._modules["self"]
        split = lambda x: x.view(x.size(0), x.size(1), self.heads, -1).transpose(1, 2)
        q, k, v = split(parts.query(x)), split(parts.key(x)), split(parts.value(x))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        x = self.attention.output.LayerNorm(x + self.attention.output.dense(y))
        return self.output.LayerNorm(x + self.output.dense(F.gelu(self.intermediate.dense(x))))


class BertModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        self.embeddings = Named(
            word_embeddings=nn.Embedding(config["vocab_size"], width),
            position_embeddings=nn.Embedding(config["max_position_embeddings"], width),
            token_type_embeddings=nn.Embedding(2, width),
            LayerNorm=nn.LayerNorm(width, eps=eps),
        )
        positions = torch.arange(config["max_position_embeddings"]).unsqueeze(0)
        self.embeddings.register_buffer("position_ids", positions, persistent=False)
        layer = lambda: BertLayer(width, config["num_attention_heads"], config["intermediate_size"], eps)
        self.encoder = Named(layer=nn.ModuleList(layer() for _ in range(config["num_hidden_layers"])))

    def forward(self, input_ids, attention_mask, token_type_ids):
        at = self.embeddings
        positions = at.position_ids[:, : input_ids.size(1)]
        x = at.word_embeddings(input_ids) + at.token_type_embeddings(token_type_ids) + at.position_embeddings(positions)
        x = at.LayerNorm(x)
        mask = (1 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(torch.float32).min
        for layer in self.encoder.layer:
            x = layer(x, mask)
        return x


class Bert(nn.Module):
    def __init__(self, config, classes):
        super().__init__()
        self.bert = BertModel(config)
        self.classifier = nn.Linear(config["hidden_size"], classes)

    def forward(self, input_ids, attention_mask, token_type_ids):
        x = self.bert(input_ids, attention_mask, token_type_ids)
        real = attention_mask.unsqueeze(-1).to(x.dtype)
        return self.classifier((x * real).sum(1) / real.sum(1).clamp(min=1e-9))


class Tagger(nn.Module):
    def __init__(self, tokens, width, units, classes):
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, units, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * units, classes)

    def forward(self, tokens):
        return self.fc(self.lstm(self.embedding(tokens))[0])


def settle(module, seed):
    """Random parameters and statistics, as far from those of a fresh module as training brings them."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            continue
        drawn = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            drawn = 0.5 + drawn.abs()
        elif value.dim() == 1 and name.endswith("weight"):
            drawn = 1 + 0.2 * drawn
        elif value.dim() == 1 or "embedding" in name:
            drawn = 0.3 * drawn
        else:
            drawn = drawn * math.sqrt(1.5 / value[0].numel())
        value.copy_(drawn)
    return module.eval()


def save_safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        dtype, values = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype], tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def strip(path):
    """Without what says where in which Python file a node comes from."""
    model = onnx.load(path)
    model.doc_string = ""
    del model.metadata_props[:]
    for part in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


def export(name, module, inputs, axes):
    """`axes`: the names of the first axes of every input, which are open."""
    path = here / f"{name}.onnx"
    size = {axis: torch.export.Dim(axis, min=1, max=64) for axis in axes}
    shapes = {one: {place: size[axis] for place, axis in enumerate(axes)} for one in inputs}
    names = dict(input_names=list(inputs), output_names=["output"])
    torch.onnx.export(module, tuple(inputs.values()), path, dynamic_shapes=shapes, dynamo=True, external_data=False, **names)
    strip(path)
    path = here / f"{name}.torchscript.onnx"
    open_axes = {one: dict(enumerate(axes)) for one in inputs}
    torch.onnx.export(
        module, tuple(inputs.values()), path, dynamic_axes=open_axes, dynamo=False, do_constant_folding=False, **names
    )
    strip(path)


def make(name, module, inputs, targets, axes):
    state = {name: value for name, value in module.state_dict().items() if value.is_floating_point()}
    save_safetensors(here / f"{name}.safetensors", state)
    torch.save(module.state_dict(), here / f"{name}.pt")
    export(name, module, inputs, axes)
    double = lambda value: value.double() if value.is_floating_point() else value
    module.double()
    output = module(*[double(value) for value in inputs.values()])
    loss = F.cross_entropy(output.flatten(0, -2), targets.flatten())
    loss.backward()
    expected = {f"input.{one}": value.float() for one, value in inputs.items()}
    expected |= {"targets": targets.float(), "output": output.detach().float(), "loss": loss.detach().float()}
    expected |= {f"gradient.{one}": value.grad.float() for one, value in module.named_parameters()}
    save_safetensors(here / f"{name}.expected.safetensors", expected)


generator = torch.Generator().manual_seed(5)
with torch.no_grad():
    resnet = settle(ResNet([4, 4, 4, 8], 3), 1)
    config = dict(model_type="bert", hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, vocab_size=30, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
        hidden_dropout_prob=0.1, pad_token_id=0)
    bert = settle(Bert(config, 3), 2)
    tagger = settle(Tagger(12, 6, 5, 4), 3)

make("resnet", resnet, {"pictures": torch.randn(2, 3, 40, 28, generator=generator)}, torch.tensor([2, 0]), ["batch"])

tokens = torch.randint(1, 30, (3, TIME), generator=generator)
mask = (torch.arange(TIME) < torch.tensor([[TIME], [4], [2]])).long()
inputs = {"input_ids": tokens * mask, "attention_mask": mask, "token_type_ids": torch.zeros_like(tokens)}
make("bert", bert, inputs, torch.tensor([1, 2, 0]), ["batch", "time"])
(here / "bert.json").write_text(json.dumps(config, indent=1) + "\n")

tokens = torch.randint(0, 12, (3, TIME), generator=generator)
make("tagger", tagger, {"tokens": tokens}, torch.randint(0, 4, (3, TIME), generator=generator), ["batch", "time"])

for path in sorted(here.iterdir()):
    print(path.name, path.stat().st_size)
