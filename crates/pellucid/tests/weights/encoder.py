"""What PyTorch makes of the encoder in a folder: writes expected.json there. Needs torch and tokenizers.

python encoder.py            makes the small one of the tests, encoder/, with random weights, first
python encoder.py FOLDER     that of another folder; `encoders.rs` compares it where PELLUCID_ENCODER names the folder
"""
import json, math, struct, sys
from pathlib import Path

import torch
from tokenizers import Tokenizer

WORDS = "the a dog cat bird sees hears and film was good bad very not . , ! ##s ##ing ##ed play walk long short e".split()


def make(folder):
    config = dict(model_type="bert", hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=20, vocab_size=5 + len(WORDS), type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
        hidden_dropout_prob=0.1, pad_token_id=0)
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    def add(name, *shape, scale=0.3, shift=0.0):
        tensors[name] = torch.randn(*shape, generator=generator) * scale + shift
    def norm(name):
        add(name + ".weight", 16, shift=1.0)
        add(name + ".bias", 16)
    add("bert.embeddings.word_embeddings.weight", config["vocab_size"], 16)
    add("bert.embeddings.position_embeddings.weight", 20, 16)
    add("bert.embeddings.token_type_embeddings.weight", 2, 16)
    norm("bert.embeddings.LayerNorm")
    for layer in range(2):
        at = f"bert.encoder.layer.{layer}."
        for name, out, inner in [("attention.self.query", 16, 16), ("attention.self.key", 16, 16), ("attention.self.value", 16, 16),
                ("attention.output.dense", 16, 16), ("intermediate.dense", 24, 16), ("output.dense", 16, 24)]:
            add(at + name + ".weight", out, inner)
            add(at + name + ".bias", out)
        norm(at + "attention.output.LayerNorm")
        norm(at + "output.LayerNorm")
    add("bert.pooler.dense.weight", 16, 16)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS) + "\n")
    header, data = {}, b""
    for name, tensor in tensors.items():
        bytes_ = tensor.numpy().astype("<f4").tobytes()
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[len(data), len(data) + len(bytes_)])
        data += bytes_
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def read(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    floats = {name: info for name, info in header.items() if info["dtype"] == "F32"}
    part = lambda info: raw[8 + size + info["data_offsets"][0]:8 + size + info["data_offsets"][1]]
    return {name.removeprefix("bert."): torch.frombuffer(bytearray(part(info)), dtype=torch.float32).reshape(info["shape"])
        for name, info in floats.items()}


def forward(config, w, ids):
    """The last hidden state of one document, [tokens, width]."""
    linear = lambda x, name: x @ w[name + ".weight"].T + w[name + ".bias"]
    norm = lambda x, name: torch.nn.functional.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], config["layer_norm_eps"])
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    heads = config["num_attention_heads"]
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        q, k, v = [linear(x, at + "attention.self." + name).reshape(len(ids), heads, -1).transpose(0, 1) for name in ["query", "key", "value"]]
        scores = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), dim=-1)
        y = (scores @ v).transpose(0, 1).reshape(len(ids), -1)
        x = norm(x + linear(y, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        y = linear(torch.nn.functional.gelu(linear(x, at + "intermediate.dense")), at + "output.dense")
        x = norm(x + y, at + "output.LayerNorm")
    return x


def texts(count):
    subjects = ["the dog", "A very long film", "the birds", "Zoë's café", "My neighbour, who plays chess,", "They", "the 3 cats!"]
    verbs = ["sees", "was not", "walked by", "hears and plays", "doesn't like", "costs 1,250.50 € at"]
    objects = ["a good bird", "very bad", "the short walk to Zürich", "everything", "naïve neural networks", "北京 and Tokyo", "it, again and again and again", "a cat"]
    return [f"{subjects[i % 7]} {verbs[i * 5 % 6]} {objects[i * 3 % 8]}{['.', '!', '', '?! ' + objects[i % 8] * (i % 3)][i % 4]}" for i in range(count)]


folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "encoder"
if len(sys.argv) == 1:
    make(folder)
config, weights = json.loads((folder / "config.json").read_text()), read(folder / "model.safetensors")
given = texts(200 if len(sys.argv) > 1 else 12)
if len(sys.argv) > 1:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
else:
    from tokenizers.implementations import BertWordPieceTokenizer
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"))
most = 64 if len(sys.argv) > 1 else 20
with torch.no_grad():
    ids = [tokenizer.encode(text).ids for text in given]
    ids = [i if len(i) <= most else i[:most - 1] + i[-1:] for i in ids]
    states = [forward(config, weights, i) for i in ids]
rows = lambda of: [[round(value, 7) for value in of(x).tolist()] for x in states]
(folder / "expected.json").write_text(json.dumps(dict(most=most, texts=given, ids=ids, mean=rows(lambda x: x.mean(0)), first=rows(lambda x: x[0]))) + "\n")
