//! The network notation: what is read and printed, what is refused and how the message points at it, and that no text
//! makes it panic.

use pellucid::nn::notation::{
    Item, MAX_ARGUMENTS, MAX_DEPTH, MAX_LAYERS, MAX_NUMBERS, MAX_SIZE, MAX_TEXT, Network, NotationError, Value, Word,
};

/// Lines in canonical form.
const CANONICAL: [&str; 20] = [
    "dense",
    "relu",
    "dense 128 relu -> dense 10",
    "dense 4 sigmoid nobias -> dense 1 sigmoid nobias",
    "conv 32 3x3 same relu -> maxpool 2 -> conv 64 3x3 same relu -> maxpool 2 -> flatten -> dense 128 relu -> dropout 0.5 -> dense 10",
    "embedding 65x64 -> lstm 256 -> dense 65",
    "3 * residual(dense 64 relu -> dense 64) -> dense 2",
    "dense 64 gelu init=he_normal bias_init=constant:0.1",
    "leaky_relu 0.02 -> prelu -> softmax",
    "reshape 8x8 -> reshape 1x8x8 -> flatten",
    "concat(dense 8 -> relu, dense 4, identity) axis=1",
    "2 * (dense 16 relu -> dropout 0.1) -> dense",
    "(dense 3)",
    "residual(residual(dense 1)) relu",
    "dense 3 leaky_relu:0.02 init=uniform:-0.1:0.1",
    "scale -0.5 -> scale 1e-7 -> scale 1e300 -> scale 0 -> scale 123456789",
    "conv 8 stride=2x1 padding=0x0 dilation=2",
    "10000 * relu",
    "max-pool 2 -> _x a:1:2:3:4:5:6:7:8",
    "4 * concat(3 * dense 2, 2 * (relu -> dense 7))",
];

#[test]
fn canonical_lines_print_as_they_were_written() {
    for line in CANONICAL {
        assert_eq!(parsed(line).to_string(), line);
    }
}

#[test]
fn spaces_line_ends_and_forms_of_numbers_do_not_matter() {
    for (written, canonical) in [
        ("dense 3->relu", "dense 3 -> relu"),
        ("\n  dense\t3\r\n  -> relu  \n", "dense 3 -> relu"),
        ("3*residual ( dense 3 )", "3 * residual(dense 3)"),
        ("concat(a,b)x=1", "concat(a, b) x=1"),
        ("dense 1e2 0.50 +3 .5", "dense 100 0.5 3 0.5"),
        ("1 * dense 5", "dense 5"),
        ("reshape 08x008", "reshape 8x8"),
    ] {
        assert_eq!(parsed(written).to_string(), canonical);
    }
}

#[test]
fn the_tree_says_what_the_line_says() {
    let network = parsed("dense 64 gelu init=constant:0.1 -> 3 * residual(dense 8x2 relu, relu)");
    let expected = Network::new(vec![
        Item::new("dense").with(64usize).with("gelu").option("init", Word::new("constant", &[0.1])),
        Item::new("residual")
            .branch(Network::new(vec![Item::new("dense").with([8usize, 2].as_slice()).with("relu")]))
            .branch(Network::new(vec![Item::new("relu")]))
            .repeated(3),
    ]);
    assert_eq!(network, expected);
    assert_ne!(network, parsed("dense 64 gelu init=constant:0.1 -> 2 * residual(dense 8x2 relu, relu)"));
    assert_ne!(network, parsed("dense 64 gelu init=constant:0.2 -> 3 * residual(dense 8x2 relu, relu)"));
    assert_ne!(network, parsed("dense 64 gelu  bias=constant:0.1 -> 3 * residual(dense 8x2 relu, relu)"));
}

#[test]
fn spans_cut_out_the_text_that_they_are_about() {
    let text = "dense 64 gelu -> 3 * residual( dense 8 relu ) k=v:1 -> (tanh)";
    let network = parsed(text);
    let cut = |span: pellucid::nn::notation::Span| &text[span.start..span.end];
    let items = network.items();
    assert_eq!(cut(items[0].span()), "dense 64 gelu");
    assert_eq!(cut(items[0].word_span()), "dense");
    assert_eq!(cut(items[0].arguments()[1].span()), "gelu");
    assert_eq!(cut(items[1].span()), "3 * residual( dense 8 relu ) k=v:1");
    assert_eq!(cut(items[1].word_span()), "residual");
    assert_eq!(cut(items[1].arguments()[0].span()), "k=v:1");
    assert_eq!(cut(items[1].arguments()[0].value_span()), "v:1");
    assert_eq!(cut(items[1].branches()[0].items()[0].span()), "dense 8 relu");
    assert_eq!(cut(items[2].span()), "(tanh)");
}

#[test]
fn layers_write_repetitions_out_and_dissolve_groups() {
    let network = parsed("2 * (dense 1 -> 2 * relu -> (tanh)) -> 2 * residual(3 * dense 4)");
    let words: Vec<&str> = network.layers().iter().map(|item| item.word()).collect();
    assert_eq!(words, ["dense", "relu", "relu", "tanh", "dense", "relu", "relu", "tanh", "residual", "residual"]);
    assert_eq!(network.layers()[9].branches()[0].layers().len(), 3);
}

#[test]
fn serde_stores_the_line() {
    let network = parsed("3 * residual(dense 64 relu -> dense 64) -> dense 2");
    let json = serde_json::to_string(&network).expect("a string");
    assert_eq!(json, "\"3 * residual(dense 64 relu -> dense 64) -> dense 2\"");
    assert_eq!(serde_json::from_str::<Network>(&json).expect("the same line"), network);
    assert!(serde_json::from_str::<Network>("\"dense ->\"").is_err());
}

/// Message, marked text (`""` at the end of the line) and suggestion of a line that has no valid form.
#[test]
fn mistakes_in_the_form_point_at_their_place() {
    let cases: [(&str, &str, &str, Option<&str>); 34] = [
        ("", "the network is empty", "", Some("write layers, for example: dense 64 relu -> dense 10")),
        (" \n\t ", "the network is empty", "", Some("write layers, for example: dense 64 relu -> dense 10")),
        ("dense 3 ->", "a layer is missing here", "", None),
        ("-> dense 3", "a layer is missing here", "->", None),
        ("a -> -> b", "a layer is missing here", "->", None),
        ("concat(a, )", "a layer is missing here", ")", None),
        ("concat(, a)", "a layer is missing here", ",", None),
        ("residual()", "a layer is missing here", ")", None),
        ("residual(a", "'(' is never closed", "(", Some("')' is missing")),
        ("a)", "')' without a '(' before it", ")", None),
        ("a, b", "',' outside of parentheses", ",", Some("layers are joined by '->'")),
        (
            "3 * (a, b)",
            "a group has one branch",
            ",",
            Some("name a layer before the '(', as in concat(dense 8, dense 4)"),
        ),
        ("(a) 3", "a group takes no arguments", "3", Some("'->' is missing here")),
        ("residual(a) (b)", "'->' is missing here", "(", None),
        ("dense 3 (a)", "'(' belongs directly behind the layer's name", "(", Some("as in residual(dense 8)")),
        ("128 -> relu", "a layer's name is expected, not '128'", "128", Some("as in dense 128")),
        ("2 * 3 -> relu", "a layer's name is expected, not '3'", "3", None),
        ("2 * 3 * relu", "a second repeat count", "3", Some("write one count, or nest: 3 * (2 * dense 8)")),
        ("* relu", "a number is missing before '*'", "*", Some("as in 3 * dense 64 relu")),
        ("a 3 * b", "'*' inside a layer", "*", Some("'->' is missing before the count")),
        ("0 * a", "a repeat count is a whole number from 1 to 10000, not '0'", "0", None),
        ("1.5 * a", "a repeat count is a whole number from 1 to 10000, not '1.5'", "1.5", None),
        (
            "b -> 99999999999999999999 * a",
            "a repeat count is a whole number from 1 to 10000, not '99999999999999999999'",
            "99999999999999999999",
            None,
        ),
        ("a → b", "cannot read '→'", "→", Some("layers are joined by '->'")),
        ("a => b", "cannot read '=>'", "=>", Some("layers are joined by '->'")),
        ("a | b", "cannot read '|'", "|", Some("layers are joined by '->'")),
        ("conv 3×3", "cannot read '3×3'", "3×3", Some("sizes are written 3x3")),
        ("a 1_0:7", "cannot read '1_0:7'", "1_0:7", Some("a number, a size like 3x3, a word or key=value")),
        ("a 12ab", "cannot read '12ab'", "12ab", Some("a number, a size like 3x3, a word or key=value")),
        ("a -inf", "cannot read '-inf'", "-inf", Some("a number, a size like 3x3, a word or key=value")),
        ("a 1e999", "the number '1e999' is too large", "1e999", None),
        ("a k = 3", "'=' has a name or a value missing", "=", Some("an option is written key=value, without spaces")),
        ("a k=1 k=2", "option 'k' is given twice", "k=2", None),
        (
            "a init=constant:x",
            "'x' is not a number",
            "constant:x",
            Some("numbers behind a word are written as in uniform:-0.1:0.1"),
        ),
    ];
    for (text, message, marked, suggestion) in cases {
        let error = refused(text);
        assert_eq!(error.message(), message, "for {text:?}");
        assert_eq!(&text[error.span().start..error.span().end], marked, "for {text:?}");
        assert_eq!(error.suggestion(), suggestion, "for {text:?}");
    }
}

#[test]
fn limits_hold() {
    let fits = |text: String| assert!(Network::parse(&text).is_ok(), "{}", &text[..text.len().min(60)]);
    let fails = |text: String, message: &str| {
        let error = refused(&text);
        assert!(error.message().contains(message), "{error}");
        assert!(error.render().chars().count() < 600, "a message stays a message");
    };
    let nested = |depth: usize| format!("{}dense 1{}", "residual(".repeat(depth), ")".repeat(depth));
    fits(nested(MAX_DEPTH));
    fails(nested(MAX_DEPTH + 1), "nested deeper than 64");
    fails("(".repeat(MAX_TEXT), "nested deeper than 64");
    fails("residual(".repeat(100_000), "nested deeper than 64");

    let chain = |layers: usize| vec!["relu"; layers].join("->");
    fits(chain(MAX_LAYERS));
    fails(chain(MAX_LAYERS + 1), "more than 10000 layers");
    fits("100 * (99 * relu -> tanh)".to_string());
    fails("100 * (100 * relu -> tanh)".to_string(), "more than 10000 layers");
    fails("5000 * residual(relu -> relu)".to_string(), "more than 10000 layers");
    // 10000^10 overflows any counter that wraps.
    fails(format!("{}relu{}", "10000 * (".repeat(10), ")".repeat(10)), "more than 10000 layers");

    fits(format!("a{}", " 1".repeat(MAX_ARGUMENTS)));
    fails(format!("a{}", " 1".repeat(MAX_ARGUMENTS + 1)), "more than 64 arguments");
    fits(format!("a(b{})", ", b".repeat(MAX_ARGUMENTS - 1)));
    fails(format!("a(b{})", ", b".repeat(MAX_ARGUMENTS)), "more than 64 branches");
    fits(format!("a 1{}", "x1".repeat(MAX_NUMBERS - 1)));
    fails(format!("a 1{}", "x1".repeat(MAX_NUMBERS)), "a size of more than 8 numbers");
    fails(format!("a b{}", ":1".repeat(MAX_NUMBERS + 1)), "more than 8 numbers");
    fits(format!("a 1x{MAX_SIZE}"));
    fails(format!("a 1x{}", MAX_SIZE + 1), "is larger than");
    fails(format!("a 1x{}", "9".repeat(100_000)), "is larger than");
    fails("a ".repeat(MAX_TEXT / 2 + 1), "bytes of text");
    fails("é".repeat(MAX_TEXT / 2), "a layer's name is expected");
    fails(format!("dense {}", "9".repeat(1000)), "is too large");
}

#[test]
fn generated_trees_survive_printing_and_parsing() {
    let mut random = Random(1);
    for round in 0..2_000 {
        let network = random.network(3);
        let line = network.to_string();
        let again = Network::parse(&line).unwrap_or_else(|error| panic!("round {round}: {}", error.render()));
        assert_eq!(again, network, "round {round}: {line}");
        assert_eq!(again.to_string(), line, "round {round}");
    }
}

#[test]
fn damaged_lines_and_noise_give_a_tree_or_an_error() {
    const PIECES: [&str; 28] = [
        "->",
        "(",
        ")",
        ",",
        "*",
        "=",
        ":",
        "x",
        "-",
        ">",
        "3",
        "3x3",
        "0.5",
        "1e",
        "e5",
        "dense",
        "relu",
        " ",
        "\n",
        "\t",
        "é",
        "→",
        "\u{0}",
        "\u{200b}",
        "😀",
        "a=b",
        "99999999999999999999",
        "..",
    ];
    let mut random = Random(2);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut text = String::new();
        if round % 2 == 0 {
            for _ in 0..random.below(12) {
                text.push_str(PIECES[random.below(PIECES.len())]);
            }
        } else {
            text.push_str(CANONICAL[random.below(CANONICAL.len())]);
            for _ in 0..=random.below(3) {
                let mut at = random.below(text.len() + 1);
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                if random.below(2) == 0 {
                    text.insert_str(at, PIECES[random.below(PIECES.len())]);
                } else {
                    text.truncate(at);
                }
            }
        }
        match Network::parse(&text) {
            Ok(network) => {
                accepted += 1;
                assert_eq!(Network::parse(&network.to_string()).as_ref(), Ok(&network), "{text:?}");
            }
            Err(error) => {
                refused += 1;
                assert!(error.render().contains('^') && !error.message().is_empty(), "{text:?}");
                assert!(error.span().start <= error.span().end && error.span().end <= text.len(), "{text:?}");
            }
        }
    }
    assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused: the noise tests both");
}

/// The layers of these tests: a stand-in for the table of the real ones.
const LAYERS: [&str; 6] = ["dense", "dropout", "conv", "residual", "relu", "gelu"];

/// Reads the first layer as a dense one (`dense`), a convolution (`conv`), a dropout or a residual block.
fn understood(text: &str) -> Result<String, NotationError> {
    let network = Network::parse(text)?;
    let item = network.items()[0].clone();
    let mut read = item.reader(&LAYERS);
    let seen = match item.word() {
        "dense" => {
            let units = read.optional_size("units")?;
            let activation = read.word("activation", &["relu", "gelu", "leaky_relu"])?;
            let nobias = read.flag("nobias")?;
            let init = read.option_choice("init", &["he_normal", "constant"])?;
            let momentum = read.option_number("momentum")?;
            format!(
                "{units:?} {:?} {nobias} {:?} {momentum:?}",
                activation.map(|word| word.name),
                init.map(|word| word.numbers)
            )
        }
        "conv" => {
            let channels = read.size("channels")?;
            let window = read.window::<2>("window")?;
            let padding = read.word("padding", &["same", "valid"])?;
            let stride = read.option_window::<2>("stride", 1)?;
            let zeros = read.option_size("padding", 0)?;
            format!("{channels} {window:?} {:?} {stride:?} {zeros:?}", padding.map(|word| word.name))
        }
        "reshape" => format!("{:?}", read.dimensions("shape")?),
        "dropout" => format!("{}", read.number("rate")?),
        "residual" => format!("{}", read.branches(1..=1)?.len()),
        _ => return Err(item.unknown_layer(&LAYERS)),
    };
    read.finish()?;
    Ok(seen)
}

#[test]
fn a_reader_takes_what_the_layer_understands() {
    for (text, seen) in [
        ("dense", "None None false None None"),
        ("dense relu 128 nobias", "Some(128) Some(\"relu\") true None None"),
        ("dense 1 init=constant:0.5 momentum=0.9", "Some(1) None false Some([0.5]) Some(0.9)"),
        ("conv 32 3x5 same stride=2 padding=0", "32 [3, 5] Some(\"same\") Some([2, 2]) Some(0)"),
        ("conv 32 3 stride=2x1", "32 [3, 3] None Some([2, 1]) None"),
        ("reshape 8", "[8]"),
        ("reshape 1x8x9", "[1, 8, 9]"),
        ("dropout 0.5", "0.5"),
        ("residual(dense 3)", "1"),
    ] {
        assert_eq!(understood(text).as_deref(), Ok(seen), "for {text}");
    }
}

#[test]
fn mistakes_in_the_meaning_are_shown_in_the_line() {
    for (text, rendered) in [
        ("dens 10", "error: unknown layer 'dens'\n  dens 10\n  ^^^^ did you mean 'dense'?"),
        (
            "dense 10 rleu",
            "error: unknown activation 'rleu' for 'dense'\n  dense 10 rleu\n           ^^^^ did you mean 'relu'?",
        ),
        (
            "dense 10 no-bias",
            "error: unknown word 'no-bias' for 'dense'\n  dense 10 no-bias\n           ^^^^^^^ did you mean 'nobias'?",
        ),
        (
            "dense 10 relu gelu",
            "error: 'dense' takes one activation, here are 'relu' and 'gelu'\n  dense 10 relu gelu\n                ^^^^",
        ),
        ("dense 1 nobias nobias", "error: 'nobias' is given twice\n  dense 1 nobias nobias\n                 ^^^^^^"),
        ("dense 1 nobias:2", "error: 'nobias' takes no number\n  dense 1 nobias:2\n          ^^^^^^^^"),
        (
            "dense 10 dropout 0.5",
            "error: 'dropout' is a layer of its own\n  dense 10 dropout 0.5\n           ^^^^^^^ '->' is missing before it",
        ),
        (
            "dense 10 conv",
            "error: 'conv' is a layer of its own\n  dense 10 conv\n           ^^^^ '->' is missing before it",
        ),
        (
            "dense 10 dropuot",
            "error: unknown word 'dropuot' for 'dense'\n  dense 10 dropuot\n           ^^^^^^^ did you mean '-> dropout'?",
        ),
        (
            "dropout 0.5 relu",
            "error: 'relu' is a layer of its own\n  dropout 0.5 relu\n              ^^^^ '->' is missing before it",
        ),
        (
            "dense 10 quickly",
            "error: unknown word 'quickly' for 'dense'\n  dense 10 quickly\n           ^^^^^^^\n  words of 'dense': relu, gelu, leaky_relu, nobias",
        ),
        (
            "dense 1.5",
            "error: units of 'dense' must be a whole number from 1 to 2147483648, not '1.5'\n  dense 1.5\n        ^^^",
        ),
        (
            "dense 0",
            "error: units of 'dense' must be a whole number from 1 to 2147483648, not '0'\n  dense 0\n        ^",
        ),
        (
            "dense -3",
            "error: units of 'dense' must be a whole number from 1 to 2147483648, not '-3'\n  dense -3\n        ^^",
        ),
        (
            "dense 1e300",
            "error: units of 'dense' must be a whole number from 1 to 2147483648, not '1e300'\n  dense 1e300\n        ^^^^^",
        ),
        ("dense 8x8", "error: units of 'dense' must be one whole number, not '8x8'\n  dense 8x8\n        ^^^"),
        ("dense 8 16", "error: 'dense' takes no further number, here is '16'\n  dense 8 16\n          ^^"),
        (
            "dense 8 init=he_norml",
            "error: unknown init 'he_norml'\n  dense 8 init=he_norml\n               ^^^^^^^^ did you mean 'he_normal'?",
        ),
        ("dense 8 init=3", "error: init of 'dense' must be a word, not '3'\n  dense 8 init=3\n               ^"),
        (
            "dense 8 intit=he_normal",
            "error: 'dense' has no option 'intit'\n  dense 8 intit=he_normal\n          ^^^^^ did you mean 'init'?",
        ),
        (
            "dense 8 colour=3",
            "error: 'dense' has no option 'colour'\n  dense 8 colour=3\n          ^^^^^^\n  options of 'dense': init, momentum",
        ),
        ("dropout 0.5 p=3", "error: 'dropout' has no option 'p'\n  dropout 0.5 p=3\n              ^"),
        (
            "dense 8 momentum=3x3",
            "error: momentum of 'dense' must be a number, not '3x3'\n  dense 8 momentum=3x3\n                   ^^^",
        ),
        ("conv relu", "error: 'conv' needs channels, a whole number\n  conv relu\n  ^^^^"),
        ("conv 8", "error: 'conv' needs window, a size like 3x3\n  conv 8\n  ^^^^"),
        (
            "conv 8 3x3x3",
            "error: window of 'conv' must be a number or a size of 2 numbers, not '3x3x3'\n  conv 8 3x3x3\n         ^^^^^",
        ),
        (
            "conv 8 3x0",
            "error: window of 'conv' must be a size of whole numbers from 1 to 2147483648, not '3x0'\n  conv 8 3x0\n         ^^^",
        ),
        ("dropout", "error: 'dropout' needs rate, a number\n  dropout\n  ^^^^^^^"),
        ("reshape", "error: 'reshape' needs shape, a size like 8x8\n  reshape\n  ^^^^^^^"),
        (
            "residual",
            "error: 'residual' takes one network in parentheses, here are 0\n  residual\n  ^^^^^^^^ as in residual(dense 64 relu -> dense 64)",
        ),
        (
            "residual(relu, relu)",
            "error: 'residual' takes one network in parentheses, here are 2\n  residual(relu, relu)\n  ^^^^^^^^",
        ),
        ("dropout(relu) 0.5", "error: 'dropout' takes no network in parentheses\n  dropout(relu) 0.5\n  ^^^^^^^"),
    ] {
        match understood(text) {
            Ok(seen) => panic!("{text} was understood as {seen}"),
            Err(error) => assert_eq!(error.render(), rendered, "for {text}"),
        }
    }
}

#[test]
fn an_item_that_was_never_text_is_shown_as_it_would_print() {
    let item = Item::new("dens").with(10usize).with("relu");
    let error = item.unknown_layer(&LAYERS);
    assert_eq!(error.render(), "error: unknown layer 'dens'\n  dens 10 relu\n  ^^^^^^^^^^^^ did you mean 'dense'?");
}

fn parsed(text: &str) -> Network {
    Network::parse(text).unwrap_or_else(|error| panic!("{}", error.render()))
}

fn refused(text: &str) -> NotationError {
    match Network::parse(text) {
        Ok(network) => panic!("{text:?} was read as {network}"),
        Err(error) => error,
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same trees and noise in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn network(&mut self, depth: usize) -> Network {
        let items = (0..=self.below(3)).map(|_| self.item(depth)).collect();
        Network::new(items)
    }

    fn item(&mut self, depth: usize) -> Item {
        let repeat = if self.below(4) == 0 { 1 + self.below(4) } else { 1 };
        if depth > 0 && self.below(6) == 0 {
            return Item::group(self.network(depth - 1)).repeated(repeat);
        }
        let mut item = Item::new(self.name()).repeated(repeat);
        if depth > 0 && self.below(4) == 0 {
            for _ in 0..=self.below(3) {
                item = item.branch(self.network(depth - 1));
            }
        }
        for position in 0..self.below(5) {
            let value = self.value();
            item = if self.below(3) == 0 {
                item.option(format!("{}{position}", self.name()), value)
            } else {
                item.with(value)
            };
        }
        item
    }

    fn name(&mut self) -> String {
        const FIRST: &[u8] = b"abcxyzABE_";
        const LATER: &[u8] = b"abcxyzABE_-0189";
        let mut name = String::from(FIRST[self.below(FIRST.len())] as char);
        for _ in 0..self.below(6) {
            name.push(LATER[self.below(LATER.len())] as char);
        }
        name
    }

    fn value(&mut self) -> Value {
        match self.below(4) {
            0 => Value::Size((0..2 + self.below(MAX_NUMBERS - 1)).map(|_| self.below(1000)).collect()),
            1 => Value::Number(self.number()),
            2 => Value::from(self.below(1000)),
            _ => {
                let numbers: Vec<f64> = (0..self.below(3)).map(|_| self.number()).collect();
                Value::Word(Word::new(self.name(), &numbers))
            }
        }
    }

    /// Any finite number: half of them with random bits, so very large and very small ones too.
    fn number(&mut self) -> f64 {
        if self.below(2) == 0 {
            return (self.below(2001) as f64 - 1000.0) / 8.0;
        }
        let number = f64::from_bits(self.next());
        if number.is_finite() { number } else { f64::MIN_POSITIVE }
    }
}
