"""PyTorch's form of the network of `cargo run --release --bin transformer`: a training step, and one generated token with
cached keys and values.

    python bench/transformer.py [THREADS] [REPETITIONS]

Lines are `workload<TAB>peer<TAB>value<TAB>unit`.
"""
import sys, time

import torch
import torch.nn as nn
import torch.nn.functional as F

threads, repetitions = (int(sys.argv[i]) if len(sys.argv) > i else usual for i, usual in ((1, 2), (2, 10)))
torch.set_num_threads(threads)
VOCABULARY, TIME, BATCH, WIDTH, HEADS, BLOCKS = 65, 128, 32, 128, 4, 4


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, cache=None, past=0):
        batch, time, _ = x.shape
        q, k, v = self.project(self.norm1(x)).view(batch, time, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        if cache is not None:
            cache[0][:, :, past : past + time], cache[1][:, :, past : past + time] = k, v
            k, v = cache[0][:, :, : past + time], cache[1][:, :, : past + time]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=time > 1)
        x = x + self.out(y.transpose(1, 2).reshape(batch, time, WIDTH))
        return x + self.mlp(self.norm2(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(TIME, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens, caches=(None,) * BLOCKS, past=0):
        x = self.tokens(tokens) + self.positions.weight[past : past + tokens.shape[1]]
        for block, cache in zip(self.blocks, caches):
            x = block(x, cache, past)
        return self.head(self.norm(x))


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
tokens = (torch.arange(BATCH * TIME) ** 2 % VOCABULARY).view(BATCH, TIME)


def step():
    optimizer.zero_grad()
    F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
    optimizer.step()


def best(call, times):
    call()
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


seconds = best(step, repetitions)
print(f"gpt_small_train\tpytorch\t{BATCH * TIME / seconds:.0f}\ttokens/s")
print(f"gpt_small_step\tpytorch\t{1e3 * seconds:.1f}\tms")
with torch.inference_mode():
    shape = (1, HEADS, TIME, WIDTH // HEADS)
    caches = [(torch.zeros(shape), torch.zeros(shape)) for _ in range(BLOCKS)]
    model(torch.ones(1, 100, dtype=torch.long), caches)
    one = torch.ones(1, 1, dtype=torch.long)
    print(f"gpt_small_token\tpytorch\t{1e6 * best(lambda: model(one, caches, 100), 20 * repetitions):.0f}\tus")
