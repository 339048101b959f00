//! Byte-pair encoding: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", ACL 2016;
//! over bytes as in Radford et al., "Language models are unsupervised multitask learners", 2019.
//!
//! The first 256 tokens are the bytes. Learning counts which two neighbouring tokens are the most frequent within words, makes
//! a new token of them, and so on; of equally frequent pairs the one of the lower numbers is first. Any text can be
//! encoded, and decoding gives it back byte by byte.

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::pieces::pieces;

/// Tokens that need no learning: the bytes.
const BYTES: u32 = 256;

type Pair = [u32; 2];

/// Tokens made of pairs of earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Pair>", into = "Vec<Pair>")]
pub struct BytePairs {
    /// Token 256 + i is this pair.
    merges: Vec<Pair>,
    /// The position of each pair.
    ranks: HashMap<Pair, u32>,
    /// The bytes of every token.
    bytes: Vec<Vec<u8>>,
}

impl TryFrom<Vec<Pair>> for BytePairs {
    type Error = String;
    fn try_from(merges: Vec<Pair>) -> Result<BytePairs, String> {
        let mut bytes: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        for (position, [first, second]) in merges.iter().enumerate() {
            let (Some(first), Some(second)) = (bytes.get(*first as usize), bytes.get(*second as usize)) else {
                return Err(format!("pair {position} of the byte pairs is made of later tokens"));
            };
            bytes.push([&first[..], second].concat());
        }
        let ranks: HashMap<Pair, u32> = merges.iter().copied().zip(0..).collect();
        if ranks.len() < merges.len() {
            return Err("a byte pair is there twice".to_string());
        }
        Ok(BytePairs { merges, ranks, bytes })
    }
}

impl From<BytePairs> for Vec<Pair> {
    fn from(pairs: BytePairs) -> Vec<Pair> {
        pairs.merges
    }
}

impl BytePairs {
    /// Learns from `text` until there are `vocabulary` tokens (or no pair is there twice); 256 at least, the bytes.
    pub fn learn(text: &str, vocabulary: usize) -> BytePairs {
        let mut learner = Learner::new(text);
        let mut merges = Vec::new();
        while merges.len() + (BYTES as usize) < vocabulary {
            let Some(pair) = learner.most_frequent() else { break };
            learner.merge(pair, BYTES + merges.len() as u32);
            merges.push(pair);
        }
        BytePairs::try_from(merges).expect("each pair is of earlier tokens, and new")
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of each token.
    pub fn bytes(&self) -> &[Vec<u8>] {
        &self.bytes
    }

    /// The tokens of a text.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut known: HashMap<&str, Vec<u32>> = HashMap::new();
        let mut tokens = Vec::new();
        for piece in pieces(text, true) {
            tokens.extend_from_slice(known.entry(piece).or_insert_with(|| self.encode_piece(piece)));
        }
        tokens
    }

    /// Joins pairs in the order in which they were learnt.
    fn encode_piece(&self, piece: &str) -> Vec<u32> {
        let mut tokens: Vec<u32> = piece.bytes().map(u32::from).collect();
        loop {
            let ranked = tokens.windows(2).filter_map(|pair| self.ranks.get(pair).copied());
            let Some(rank) = ranked.min() else { return tokens };
            join(&mut tokens, self.merges[rank as usize], BYTES + rank);
        }
    }
}

/// Replaces every `pair` by `token`, from the left.
fn join(tokens: &mut Vec<u32>, pair: Pair, token: u32) {
    let mut kept = 0;
    let mut at = 0;
    while at < tokens.len() {
        let is_pair = tokens[at..].starts_with(&pair);
        tokens[kept] = if is_pair { token } else { tokens[at] };
        kept += 1;
        at += if is_pair { 2 } else { 1 };
    }
    tokens.truncate(kept);
}

/// The different pieces of a text, how often each is there, and how often each pair.
struct Learner {
    pieces: Vec<(Vec<u32>, u64)>,
    counts: HashMap<Pair, u64>,
    /// The pieces that had the pair at some time.
    places: HashMap<Pair, HashSet<usize>>,
    /// Counts at some time, the greatest first; an entry holds if it still is the count.
    queue: BinaryHeap<(u64, std::cmp::Reverse<Pair>)>,
}

impl Learner {
    fn new(text: &str) -> Learner {
        let mut distinct: BTreeMap<&str, u64> = BTreeMap::new();
        pieces(text, true).for_each(|piece| *distinct.entry(piece).or_default() += 1);
        let pieces: Vec<(Vec<u32>, u64)> =
            distinct.into_iter().map(|(piece, times)| (piece.bytes().map(u32::from).collect(), times)).collect();
        let mut counts: HashMap<Pair, u64> = HashMap::new();
        let mut places: HashMap<Pair, HashSet<usize>> = HashMap::new();
        for (number, (tokens, times)) in pieces.iter().enumerate() {
            for pair in pairs(tokens) {
                *counts.entry(pair).or_default() += times;
                places.entry(pair).or_default().insert(number);
            }
        }
        let queue = counts.iter().map(|(pair, count)| (*count, std::cmp::Reverse(*pair))).collect();
        Learner { pieces, counts, places, queue }
    }

    /// The pair that is there most often, twice at least.
    fn most_frequent(&mut self) -> Option<Pair> {
        loop {
            let (count, std::cmp::Reverse(pair)) = self.queue.pop()?;
            if count < 2 {
                return None;
            }
            if self.counts.get(&pair) == Some(&count) {
                return Some(pair);
            }
        }
    }

    fn merge(&mut self, pair: Pair, token: u32) {
        let mut changed: HashSet<Pair> = HashSet::new();
        for number in self.places.remove(&pair).unwrap_or_default() {
            let (tokens, times) = &mut self.pieces[number];
            for old in pairs(tokens) {
                if let Some(count) = self.counts.get_mut(&old) {
                    *count -= *times;
                }
                changed.insert(old);
            }
            join(tokens, pair, token);
            for new in pairs(tokens) {
                *self.counts.entry(new).or_default() += *times;
                self.places.entry(new).or_default().insert(number);
                changed.insert(new);
            }
        }
        self.counts.remove(&pair);
        self.queue.extend(changed.into_iter().filter_map(|pair| {
            self.counts.get(&pair).filter(|count| **count > 0).map(|count| (*count, std::cmp::Reverse(pair)))
        }));
    }
}

fn pairs(tokens: &[u32]) -> impl Iterator<Item = Pair> {
    tokens.windows(2).map(|pair| [pair[0], pair[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_pairs_become_tokens() {
        // "lo" 5 times, then "low" 5 times, then " low" 3 times; "er" twice.
        let text = "low low low\nlow low lower her";
        let pairs = BytePairs::learn(text, 1000);
        let learnt: Vec<String> =
            pairs.bytes()[256..].iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        assert_eq!(learnt[..3], ["lo", "low", " low"]);
        assert!(learnt.contains(&"er".to_string()), "{learnt:?}");
        assert_eq!(pairs.encode(" low"), [258]);
        assert_eq!(BytePairs::learn(text, 257).vocabulary(), 257);
        assert_eq!(BytePairs::learn("", 300).vocabulary(), 256);
    }

    #[test]
    fn counting_step_by_step_learns_what_counting_anew_does() {
        let text = "the cat sat on the mat; that cat! aaaa aaaaa aa the then there\nbananas banana ananas";
        let text = &text.repeat(2);
        let fast = BytePairs::learn(text, 300);
        // The definition, without any bookkeeping.
        let mut parts: Vec<Vec<u32>> = pieces(text, true).map(|piece| piece.bytes().map(u32::from).collect()).collect();
        for (number, merge) in fast.merges.iter().enumerate() {
            let mut counts: BTreeMap<Pair, usize> = BTreeMap::new();
            parts.iter().flat_map(|tokens| pairs(tokens)).for_each(|pair| *counts.entry(pair).or_default() += 1);
            let most = counts.values().max().expect("pairs are left");
            let first = counts.iter().find(|(_, count)| *count == most).expect("it is there");
            assert_eq!(first.0, merge, "pair {number}");
            parts.iter_mut().for_each(|tokens| join(tokens, *merge, BYTES + number as u32));
        }
        assert!(fast.merges.len() > 20);
    }

    #[test]
    fn any_text_comes_back_and_the_pairs_go_through_json() {
        let pairs = BytePairs::learn("the cat sat on the mat. the cat", 280);
        for text in ["", "the cat", "žluťoučký kůň  🐎\n\t x", "ththththe"] {
            let tokens = pairs.encode(text);
            let bytes: Vec<u8> = tokens.iter().flat_map(|token| pairs.bytes()[*token as usize].clone()).collect();
            assert_eq!(bytes, text.as_bytes());
        }
        let json = serde_json::to_string(&pairs).expect("JSON");
        assert_eq!(serde_json::from_str::<BytePairs>(&json).expect("the same"), pairs);
        for (bad, message) in [("[[97,300]]", "made of later tokens"), ("[[97,98],[97,98]]", "there twice")] {
            let error = serde_json::from_str::<BytePairs>(bad).expect_err("refused").to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
