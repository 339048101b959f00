use serde::Deserialize;

use super::*;

/// Made by tests.py, with the library whose files these are.
#[derive(Deserialize)]
struct Cases {
    texts: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    tokenizer: Value,
    /// Of each text with its frame, and without.
    ids: Vec<[Vec<u32>; 2]>,
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("tests.json")).expect("as tests.py writes it")
}

fn case(name: &str) -> Value {
    cases().cases.into_iter().find(|case| case.name == name).expect("a case").tokenizer
}

fn read(document: Value) -> Result<PretrainedTokenizer, String> {
    PretrainedTokenizer::parse(document.to_string().as_bytes())
}

#[test]
fn tokens_are_those_of_the_library_whose_files_these_are() {
    let Cases { texts, cases } = cases();
    let mut wrong = Vec::new();
    for Case { name, tokenizer, ids } in cases {
        let tokenizer = read(tokenizer).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (text, [framed, plain]) in texts.iter().zip(ids) {
            let tokens = tokenizer.encode(text);
            let [before, behind] = tokenizer.frame();
            if tokens != plain || [before, &tokens, behind].concat() != framed {
                wrong.push(format!("{name}: {text:?} became {tokens:?} and not {plain:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_tokenizer_goes_through_json_and_its_tokens_are_text_again() {
    for Case { name, tokenizer, .. } in cases().cases {
        let tokenizer = read(tokenizer).expect("a tokenizer");
        let json = serde_json::to_string(&tokenizer).expect("JSON");
        assert_eq!(json, serde_json::to_string(&tokenizer.clone()).expect("JSON"), "{name}");
        assert_eq!(serde_json::from_str::<PretrainedTokenizer>(&json).expect("the same"), tokenizer, "{name}");
    }
    for (name, text) in [
        ("uncased word pieces", " the quick brown fox"),
        ("byte-level", " The quick brown fox"),
        ("byte-level by a pattern", "The quick\n brown 🐎"),
        ("pairs with ends of words", "the quick brown fox "),
        ("pairs with bytes", " The 🐎 brown"),
        ("unigram", " The quick brown"),
        ("words", " fox and"),
    ] {
        let tokenizer = read(case(name)).expect("a tokenizer");
        let bytes = tokenizer.bytes();
        assert_eq!(bytes.len(), tokenizer.vocabulary());
        let whole: Vec<u8> =
            tokenizer.encode(text.trim()).iter().flat_map(|token| bytes[*token as usize].clone()).collect();
        assert_eq!(String::from_utf8_lossy(&whole), text, "{name}");
    }
}

#[test]
fn a_list_of_word_pieces_is_enough() {
    let pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncaf\n##e\ndog\n##s\n.\n";
    let tokenizer = PretrainedTokenizer::parse(pieces.as_bytes()).expect("word pieces");
    assert_eq!((tokenizer.vocabulary(), tokenizer.padding(), tokenizer.most()), (10, Some(0), None));
    assert_eq!(tokenizer.frame(), [&[2], &[3]]);
    assert_eq!(tokenizer.encode("The CAFÉ, dogs. [SEP]"), [4, 5, 6, 1, 7, 8, 9, 3]);
    let cased = PretrainedTokenizer::parse(pieces.replace("the", "The").replace('\n', "\r\n").as_bytes());
    assert_eq!(cased.expect("word pieces").encode("The the dog"), [4, 1, 7]);
    let none = PretrainedTokenizer::parse(b"one\ntwo\n").expect_err("no word pieces");
    assert!(none.contains("no line of it is [UNK]"), "{none}");
}

#[test]
fn older_files_are_read_too() {
    let mut document = case("byte-level");
    let newer = read(document.clone()).expect("a tokenizer");
    let model = document["model"].as_object_mut().expect("a model");
    model.remove("type");
    for merge in model["merges"].as_array_mut().expect("merges") {
        *merge = format!("{} {}", merge[0].as_str().expect("a token"), merge[1].as_str().expect("a token")).into();
    }
    let older = read(document).expect("a tokenizer");
    assert_eq!(older.encode("The quick brown fox"), newer.encode("The quick brown fox"));
}

#[test]
fn what_does_not_hold_together_is_an_error_with_its_part() {
    let changed = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut document = case(name);
        change(&mut document);
        read(document).expect_err("refused")
    };
    let words = "uncased word pieces";
    for (error, message) in [
        (changed(words, &|d| d["model"] = Value::Null), "model: "),
        (
            changed(words, &|d| d["model"]["type"] = "Char".into()),
            "model: unknown variant `Char`, expected one of `WordPiece`, `BPE`",
        ),
        (changed(words, &|d| d["model"]["unk_token"] = "[?]".into()), "unk_token: vocab lacks \"[?]\""),
        (changed(words, &|d| d["model"]["vocab"]["far"] = 4_000_000_000u32.into()), "number 4000000000 of only"),
        (changed(words, &|d| d["model"]["vocab"]["far"] = (-1).into()), "model: invalid value: integer `-1`"),
        (
            changed(words, &|d| d["normalizer"] = json!({"type": "Precompiled"})),
            "normalizer: unknown variant `Precompiled`",
        ),
        (
            changed(words, &|d| d["post_processor"]["special_tokens"] = json!({})),
            "post_processor: special_tokens lack \"[CLS]\"",
        ),
        (changed(words, &|d| d["post_processor"]["single"] = json!([])), "post_processor: the template has no place"),
        (
            changed(words, &|d| d["post_processor"]["special_tokens"]["[CLS]"]["ids"][0] = 9_999_999.into()),
            "there is no token 9999999",
        ),
        (changed(words, &|d| d["truncation"] = json!({"max_length": 2})), "truncation: max_length leaves no token"),
        (
            changed("byte-level", &|d| d["model"]["merges"][0] = json!(["\u{3}", "b"])),
            "merges: entry 0 needs the token \"\\u{3}\"",
        ),
        (changed("byte-level", &|d| d["model"]["dropout"] = 0.5.into()), "dropout"),
        (
            changed("byte-level by a pattern", &|d| {
                d["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a)*".into()
            }),
            "pre_tokenizer: '*', character 4",
        ),
        (changed("unigram", &|d| d["model"]["unk_id"] = 1_000_000.into()), "unk_id"),
        (read(json!([1])).expect_err("refused"), "no line of it is"),
        (read(json!({"vocab": {}})).expect_err("refused"), "no part \"model\""),
    ] {
        assert!(error.contains(message), "{error} lacks {message}");
    }
    // Each step makes a text ten times as long.
    let step = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(10)});
    let grown = json!({"type": "Sequence", "normalizers": vec![step; 300]});
    let error = changed(words, &|d| d["normalizer"] = grown.clone());
    assert!(error.starts_with("normalizer: a text could become"), "{error}");
    let deep = format!(r#"{{"model":{}"#, "[".repeat(1_000_000));
    assert!(PretrainedTokenizer::parse(deep.as_bytes()).is_err());
    assert!(
        PretrainedTokenizer::parse(b"{\"model\": \xff}").expect_err("refused").contains("byte 10 of it is not UTF-8")
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = PretrainedTokenizer::open(&folder.path().join("none.json")).expect_err("refused").to_string();
    assert!(error.contains("none.json"), "{error}");
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, "{\"model\": 3}").expect("writes");
    let error = PretrainedTokenizer::open(&path).expect_err("refused").to_string();
    assert!(error.contains("tokenizer.json: model: ") && error.contains("give a tokenizer.json"), "{error}");
    let large = std::fs::File::create(&path).expect("writes");
    large.set_len(LARGEST + 1).expect("a sparse file");
    assert!(matches!(PretrainedTokenizer::open(&path), Err(TokenizerError::Large { .. })));
}
