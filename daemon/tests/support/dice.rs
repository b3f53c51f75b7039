//! Chance that can be had again.

/// Chance from a seed: xorshift64. `VS_SEED` sets another one; which it was is printed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        let asked = std::env::var("VS_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = asked.unwrap_or(seed);
        println!("VS_SEED={seed}");
        Dice(seed | 1)
    }

    /// A number below this one.
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// One to three small damages: a byte replaced, put in or taken out, the end cut off, a piece repeated elsewhere.
    pub fn damage(&mut self, text: &str) -> Vec<u8> {
        const MEANINGFUL: &[u8] = b"\"\\{}[]:,0179/+= \n\xffnu";
        let mut text = text.as_bytes().to_vec();
        for _ in 0..=self.roll(3) {
            let at = self.roll(text.len() + 1);
            let byte = match self.roll(2) {
                0 => MEANINGFUL[self.roll(MEANINGFUL.len())],
                _ => b' ' + self.roll(95) as u8,
            };
            match self.roll(5) {
                0 if at < text.len() => text[at] = byte,
                1 if at < text.len() => drop(text.remove(at)),
                2 if at > 0 => text.truncate(at),
                3 => {
                    let piece = text[self.roll(at + 1)..at].to_vec();
                    let to = self.roll(text.len() + 1);
                    text.splice(to..to, piece);
                }
                _ => text.insert(at, byte),
            }
        }
        text
    }
}
