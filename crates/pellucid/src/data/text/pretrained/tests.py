"""Makes tests.json: small tokenizers of Hugging Face's `tokenizers` (0.23) and what they make of some texts."""
import json
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers as n, pre_tokenizers as p, processors, trainers

CORPUS = """The quick brown fox jumps over the lazy dog, doesn't it? 12,345 foxes weren't quick; they're lazy dogs.
Café crème brûlée costs 3.50 € in Zürich and naïve façades cost more. It's the dogs' day: I'll say we've won!
Neural networks learn from data, and data come from the world. 我爱北京 天安门 and the world learns from networks.
def f(x):\n    return x * x + 10  # quick functions\n\n\nThe world is quick, the networks are lazy.""".split("\n\n\n")
TEXTS = [
    "", " ", "The quick brown fox", "  the  LAZY dogs' café… doesn't cost 1234567 €!\n\n  I'll be\tback ",
    "unbelievably Ångström ﬁne ½ ① x²", "我爱 data北京", "tail [MASK] of<mask>the [SEP] end", "it's IT'S We've\r\n\r\nwon 42",
    "\u0000a\u200bb\u00adc\u0301d", "🐎 horse🐎\u2028zero\ufffd", "e\u0301 é İstanbul ΣΑΣ ß", "x" * 120 + " dog", "the\u00a0dog --- (f)x_1",
]


def trained(model, trainer, normalizer=None, pre=None, post=None, added=()):
    tokenizer = Tokenizer(model)
    if normalizer: tokenizer.normalizer = normalizer
    if pre: tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator(CORPUS, trainer)
    if added: tokenizer.add_tokens(list(added))
    if post: tokenizer.post_processor = post(tokenizer)
    return tokenizer


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
quiet = dict(show_progress=False)
frame = lambda t: processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    special_tokens=[(name, t.token_to_id(name)) for name in ["[CLS]", "[SEP]"]])
mask = AddedToken("<mask>", lstrip=True, normalized=False)
newer = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
tokenizers = {
    "uncased word pieces": trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=220, special_tokens=BERT, **quiet),
        n.BertNormalizer(), p.BertPreTokenizer(), frame, [AddedToken("[MASK]", lstrip=True, special=True)]),
    "cased word pieces": trained(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20), trainers.WordPieceTrainer(vocab_size=220, special_tokens=BERT, **quiet),
        n.BertNormalizer(lowercase=False, handle_chinese_chars=False), p.BertPreTokenizer(),
        lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))),
    "byte-level": trained(models.BPE(), trainers.BpeTrainer(vocab_size=330, initial_alphabet=p.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"], **quiet),
        None, p.ByteLevel(add_prefix_space=True), lambda t: processors.RobertaProcessing(("</s>", 1), ("<s>", 0)), [mask]),
    "byte-level by a pattern": trained(models.BPE(ignore_merges=True), trainers.BpeTrainer(vocab_size=330, initial_alphabet=p.ByteLevel.alphabet(), special_tokens=["<|begin|>"], **quiet),
        n.NFC(), p.Sequence([p.Split(Regex(newer), "isolated"), p.ByteLevel(add_prefix_space=False, use_regex=False)]),
        lambda t: processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])])),
    "pairs with ends of words": trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), trainers.BpeTrainer(vocab_size=160, end_of_word_suffix="</w>", special_tokens=["<unk>"], **quiet),
        n.Sequence([n.NFKC(), n.Lowercase()]), p.Whitespace()),
    "pairs with bytes": trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
        trainers.BpeTrainer(vocab_size=420, special_tokens=["<unk>"] + [f"<0x{b:02X}>" for b in range(256)], **quiet),
        n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]), None, None, [AddedToken("dog", single_word=True)]),
    "unknown side by side": trained(models.BPE(unk_token="<unk>", fuse_unk=True), trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>"], limit_alphabet=30, **quiet),
        n.Sequence([n.Strip(left=False), n.NFKD()]), p.Metaspace(prepend_scheme="first")),
    "unigram": trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=90, unk_token="<unk>", special_tokens=["<unk>"], **quiet),
        n.Sequence([n.NFD(), n.StripAccents(), n.Replace(Regex(r"\s+"), " ")]), p.Metaspace(), None, [AddedToken("lazy DOGS", normalized=True)]),
    "words": trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=150, special_tokens=["<unk>"], **quiet), None,
        p.Sequence([p.WhitespaceSplit(), p.Digits(individual_digits=True), p.Split(Regex(r"[^\w\s]"), "merged_with_previous"), p.CharDelimiterSplit("c")])),
    "runs": trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=150, special_tokens=["<unk>"], **quiet), None,
        p.Sequence([p.Split(" ", "merged_with_next"), p.Punctuation("contiguous"), p.Digits(), p.Split(Regex("o|u"), "removed", invert=False)])),
}
cases = []
for name, tokenizer in tokenizers.items():
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    for key in ["version", "decoder"]: document.pop(key)
    encoded = [[tokenizer.encode(text).ids, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS]
    cases.append({"name": name, "tokenizer": document, "ids": encoded})
with open("tests.json", "w") as out:
    out.write('{"texts":' + json.dumps(TEXTS) + ',\n"cases":[\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "]}\n")
