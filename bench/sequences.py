"""PyTorch's recurrent networks over characters, beside `cargo run --release --bin sequences`.

    python bench/sequences.py [THREADS] [STEPS] [REPETITIONS]

A step is one of Adam on 32 sequences of 64 characters; lines are `workload<TAB>peer<TAB>median<TAB>unit`.
"""
import sys, time

import torch
import torch.nn as nn
import torch.nn.functional as F

threads, steps, repetitions = (int(sys.argv[i]) if len(sys.argv) > i else usual for i, usual in ((1, 2), (2, 20), (3, 5)))
torch.set_num_threads(threads)
BATCH, TIME, CHARACTERS = 32, 64, 65


class Characters(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.embedding = nn.Embedding(CHARACTERS, 64)
        self.layer = layer(64, 256, batch_first=True)
        self.output = nn.Linear(256, CHARACTERS)

    def forward(self, x):
        return self.output(self.layer(self.embedding(x))[0]).flatten(0, 1)


torch.manual_seed(0)
text = torch.randint(0, CHARACTERS, (BATCH, TIME))
for name, layer in (("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)):
    network = Characters(layer)
    optimizer = torch.optim.Adam(network.parameters())

    def run(steps):
        begun = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(network(text), text.flatten()).backward()
            optimizer.step()
        return (time.perf_counter() - begun) / steps

    run(steps // 4 + 1)
    seconds = sorted(run(steps) for _ in range(repetitions))
    print(f"{name}256_train\ttorch\t{BATCH * TIME / seconds[len(seconds) // 2]:.0f}\ttok/s", flush=True)
