//! Numbers and JSON by chance, the same for the same seed.

use serde_json::{Map, Value, json};

/// A generator (xorshift64*).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    /// 32 hexadecimal digits.
    pub(super) fn tag(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// A value of at most this depth.
    pub(super) fn json(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.next().is_multiple_of(2)),
            2 => json!(self.next() as i64),
            3 => json!(f64::from(self.next() as i32) / 7.0),
            4 => json!(self.text()),
            5 => (0..self.below(4)).map(|_| self.json(depth - 1)).collect(),
            _ => Value::Object(self.object(depth - 1)),
        }
    }

    pub(super) fn object(&mut self, depth: usize) -> Map<String, Value> {
        (0..self.below(5)).map(|_| (self.text(), self.json(depth))).collect()
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 10] =
            ["", "a", "id", "../..", "\0", "\u{202e}é😀", "-1", "null", "\"\\", " \n"];
        (0..self.below(4)).map(|_| WORDS[self.below(WORDS.len())]).collect()
    }
}
