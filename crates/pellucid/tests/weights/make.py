"""Makes the files of this folder, with PyTorch and NumPy: python make.py

The values of the k-th tensor, in row-major order, are ((i + 1) * (k + 3) % 17 - 8) / 4: exact in every floating type here.
"""

import json
import os
import pathlib
from collections import OrderedDict

import numpy as np
import torch

here = pathlib.Path(__file__).parent


def values(k, *shape):
    i = np.arange(int(np.prod(shape, dtype=np.int64)))
    return ((i + 1) * (k + 3) % 17 - 8).reshape(shape).astype(np.float32) / 4


def tensor(k, *shape):
    return torch.tensor(values(k, *shape))


# A state dictionary as nn.Module.state_dict() gives it, with its _metadata.
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32, 3)
)
state = net.state_dict()
for k, (name, parameter) in enumerate(state.items()):
    if parameter.is_floating_point():
        state[name] = tensor(k, *parameter.shape)
state["1.running_var"] = tensor(4, 2).abs() + 1
state._metadata = net.state_dict()._metadata
torch.save(state, here / "network.pt")

# A checkpoint of training: the network's state lies within, other things beside it.
wide = tensor(3, 4, 6)
tied = tensor(4, 3, 2)
checkpoint = {
    "epoch": 3,
    "lr": 1e-3,
    "args": {"size": torch.Size([3, 4]), "device": torch.device("cpu"), "names": ["a", "b"], "none": None},
    "optimizer": {"state": {0: {"step": torch.tensor(7.0), "exp_avg": tensor(9, 5)}}},
    "model": {
        "state_dict": OrderedDict(
            half=tensor(0, 2, 3).half(),
            brain=tensor(1, 5).bfloat16(),
            double=torch.nn.Parameter(tensor(2, 2, 2).double()),
            turned=wide.T,
            corner=wide[1:3, 2:6:3],
            tied=tied,
            tied_again=tied,
            spread=tensor(5, 2).expand(3, 2),
            whole=torch.tensor([-3, 2**40]),
            truth=torch.tensor([True, False]),
            one=torch.tensor(2.5),
            none=torch.zeros(0, 4),
        )
    },
}
torch.save(checkpoint, here / "checkpoint.pth")

torch.save(state, here / "before_1_6.pt", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 1), here / "module.pt")
torch.jit.script(torch.nn.ReLU()).save(here / "script.pt")

# A pickle that would run a command; the rest is as PyTorch writes it.
class Command:
    def __reduce__(self):
        return os.system, ("touch /tmp/this-was-run",)


torch.save({"weight": tensor(0, 2), "more": Command()}, here / "command.pt")

arrays = {
    "encoder.weight": values(0, 2, 3),
    "half": values(1, 4).astype("<f2"),
    "double": values(2, 2, 2).astype("<f8"),
    "big": values(3, 3, 2).astype(">f4"),
    "columns": np.asfortranarray(values(4, 2, 3, 4)),
    "whole": np.array([[-3, 5]], dtype="<i4"),
    "one": np.array(2.5, dtype="<f4"),
}
np.savez(here / "arrays.npz", **arrays)
np.savez_compressed(here / "packed.npz", **arrays)
np.save(here / "array.npy", values(7, 3, 5))
np.save(here / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)



def settle(module, seed):
    """Random parameters and statistics, far from those of a fresh module, in half precision so that the file is small."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = 0.4 * torch.randn(value.shape, generator=generator)
            value.copy_((drawn.abs() + 0.5 if name.endswith("running_var") else drawn).half().float())
    return module.eval()


# The layout of ResNet-18, very narrow, with the names of torchvision.
class Block(torch.nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.conv2 = torch.nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(width)
        if stride > 1:
            shortcut = torch.nn.Conv2d(inside, width, 1, stride, bias=False)
            self.downsample = torch.nn.Sequential(shortcut, torch.nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(torch.nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(widths[0])
        inside = widths[0]
        for number, width in enumerate(widths, 1):
            blocks = torch.nn.Sequential(Block(inside, width, 1 if number == 1 else 2), Block(width, width, 1))
            setattr(self, f"layer{number}", blocks)
            inside = width
        self.fc = torch.nn.Linear(inside, 3)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 4)
        self.lstm = torch.nn.LSTM(4, 5, bidirectional=True, batch_first=True)
        self.fc = torch.nn.Linear(10, 3)

    def forward(self, tokens):
        return self.fc(self.lstm(self.embedding(tokens))[0])


def save_safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        values = tensor.numpy().tobytes()
        dtype = {torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


with torch.no_grad():
    resnet = settle(ResNet([2, 3, 3, 4]), 1)
    pictures = tensor(0, 2, 3, 24, 20).half().float()
    state = {name: value.half() for name, value in resnet.state_dict().items() if value.is_floating_point()}
    save_safetensors(here / "resnet.safetensors", {**state, "test.output": resnet(pictures)})

    tagger = settle(Tagger(), 2)
    tokens = torch.tensor([[0, 3, 10, 3, 7], [1, 1, 2, 9, 4]])
    torch.save({**tagger.state_dict(), "test.output": tagger(tokens)}, here / "tagger.pt")

for path in sorted(here.iterdir()):
    print(path.name, path.stat().st_size)
