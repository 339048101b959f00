"""PyTorch's ResNet-20 on pictures of CIFAR's size: a training step and the memory of the process, beside
`cargo run --release --bin pictures`.

    python bench/pictures.py [BATCH] [THREADS] [STEPS]

Lines are `workload<TAB>peer<TAB>value<TAB>unit`; memory is that of the whole process, and what was held before the first step.
"""
import resource, sys, time

import torch
import torch.nn as nn
import torch.nn.functional as F

batch, threads, steps = (int(sys.argv[i]) if len(sys.argv) > i else usual for i, usual in ((1, 128), (2, 2), (3, 20)))
torch.set_num_threads(threads)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inputs = 16
    for outputs in (16, 32, 64):
        for block in range(3):
            layers.append(Block(inputs, outputs, 2 if block == 0 and outputs > 16 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def mebibytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


torch.manual_seed(0)
pictures, classes = torch.randn(batch * steps, 3, 32, 32), torch.arange(batch * steps) % 10
before = mebibytes()
for name, layout in (("", torch.contiguous_format), ("_channels_last", torch.channels_last)):
    network = resnet20().to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True)
    inputs = pictures.to(memory_format=layout)

    def epoch():
        begun = time.perf_counter()
        for i in range(0, batch * steps, batch):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs[i : i + batch]), classes[i : i + batch]).backward()
            optimizer.step()
        return (time.perf_counter() - begun) / steps

    epoch()
    seconds = sorted(epoch() for _ in range(3))
    print(f"resnet20_step_b{batch}{name}\ttorch\t{1e3 * seconds[1]:.2f}\tms", flush=True)
    print(f"resnet20_peak_memory{name}\ttorch\t{mebibytes():.0f}\tMiB ({before:.0f} before the first step)", flush=True)
