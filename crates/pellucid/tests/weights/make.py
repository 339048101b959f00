"""Makes the files of this folder, with PyTorch and NumPy: python make.py

The values of the k-th tensor, in row-major order, are ((i + 1) * (k + 3) % 17 - 8) / 4: exact in every floating type here.
"""

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

for path in sorted(here.iterdir()):
    print(path.name, path.stat().st_size)
