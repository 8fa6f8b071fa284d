//! The linear-chain conditional random field: from scores of labels to their probabilities.
//!
//! Lafferty, McCallum, Pereira, *Conditional Random Fields*, ICML 2001; the forward and backward values are scaled at
//! every token (Rabiner 1989, section V.A), so that texts of any length stay within `f32`.

use super::Entity;

/// Labels: outside, and for each entity its first token and the tokens after.
pub const LABELS: usize = 1 + 2 * Entity::ALL.len();

/// Labels and room, so that a row is a whole number of vector registers.
pub const WIDTH: usize = 16;

/// A value for each label.
pub type Row = [f32; WIDTH];

/// The label outside of every entity.
pub const OUTSIDE: usize = 0;

/// The label of an entity's first token.
pub fn begin(entity: Entity) -> usize {
    1 + 2 * entity as usize
}

/// The label of an entity's other tokens.
pub fn inside(entity: Entity) -> usize {
    2 + 2 * entity as usize
}

/// Whether `to` may follow `from`; `None` is the start of the text.
pub fn may_follow(from: Option<usize>, to: usize) -> bool {
    let goes_on = to != OUTSIDE && to.is_multiple_of(2);
    to < LABELS
        && from.is_none_or(|from| from < LABELS)
        && (!goes_on || from.is_some_and(|from| from == to || from + 1 == to))
}

/// How likely one label follows another, not normalised; 0 where it may not.
#[derive(Clone, Debug, PartialEq)]
pub struct Transitions {
    /// From the start of the text.
    pub start: Row,
    /// From each label.
    pub from: [Row; WIDTH],
}

impl Transitions {
    /// From scores, as they are learned.
    pub fn new(start: &Row, from: &[Row; WIDTH]) -> Self {
        let weight =
            |before: Option<usize>, to: usize, score: f32| if may_follow(before, to) { exp(score) } else { 0.0 };
        Self {
            start: std::array::from_fn(|to| weight(None, to, start[to])),
            from: std::array::from_fn(|i| std::array::from_fn(|to| weight(Some(i), to, from[i][to]))),
        }
    }
}

/// Room for the computation, used again from text to text.
#[derive(Debug, Default)]
pub struct Workspace {
    /// In: the score of each label of each token. Out: its probability.
    pub rows: Vec<Row>,
    /// The weight of each label of each token given the tokens before.
    pub forward: Vec<Row>,
    /// Given the tokens after.
    pub backward: Vec<Row>,
    /// What the token's weights were divided by.
    pub scale: Vec<f32>,
    /// The exponentials of the scores.
    pub weights: Vec<Row>,
}

impl Workspace {
    /// Turns the scores in `rows` into probabilities.
    pub fn run(&mut self, transitions: &Transitions) {
        self.weigh(None);
        self.sweep(transitions);
        for ((row, forward), backward) in self.rows.iter_mut().zip(&self.forward).zip(&self.backward) {
            *row = normalised(std::array::from_fn(|i| forward[i] * backward[i])).0;
        }
    }

    /// Prepares the weights of labels; `allowed` says which labels each token may have, by bits.
    pub fn weigh(&mut self, allowed: Option<&[u16]>) {
        self.weights.clear();
        for (at, row) in self.rows.iter().enumerate() {
            let highest = row[..LABELS].iter().copied().fold(f32::MIN, f32::max);
            let allowed = allowed.map_or(u16::MAX, |allowed| allowed[at]);
            let weight = |i: usize| if i < LABELS && allowed >> i & 1 == 1 { exp(row[i] - highest) } else { 0.0 };
            self.weights.push(std::array::from_fn(weight));
        }
    }

    /// Fills `forward`, `backward` and `scale` from the weights.
    pub fn sweep(&mut self, transitions: &Transitions) {
        let n = self.weights.len();
        self.forward.clear();
        self.scale.clear();
        for at in 0..n {
            let reached = match at.checked_sub(1) {
                None => transitions.start,
                Some(before) => {
                    let mut reached = [0.0; WIDTH];
                    for (amount, from) in self.forward[before].iter().zip(&transitions.from).take(LABELS) {
                        for (sum, weight) in reached.iter_mut().zip(from) {
                            *sum += amount * weight;
                        }
                    }
                    reached
                }
            };
            let (row, scale) = normalised(std::array::from_fn(|i| reached[i] * self.weights[at][i]));
            self.forward.push(row);
            self.scale.push(scale);
        }
        self.backward.clear();
        self.backward.resize(n, [1.0; WIDTH]);
        for at in (1..n).rev() {
            let (weights, after) = (&self.weights[at], &self.backward[at]);
            let ahead: Row = std::array::from_fn(|i| weights[i] * after[i]);
            let mut row = [0.0; WIDTH];
            for (sum, from) in row.iter_mut().zip(&transitions.from).take(LABELS) {
                *sum = from.iter().zip(&ahead).map(|(a, b)| a * b).sum();
            }
            self.backward[at - 1] = normalised(row).0;
        }
    }
}

/// The row divided by its sum, and the sum. A row of nothing becomes an even one: no text is without an answer.
fn normalised(row: Row) -> (Row, f32) {
    let sum: f32 = row.iter().sum();
    if sum > f32::MIN_POSITIVE && sum.is_finite() {
        (row.map(|value| value / sum), sum)
    } else {
        ([1.0 / WIDTH as f32; WIDTH], 1.0)
    }
}

/// e to the `x`, to about 6 digits, and the same on every processor, so that fitting is reproducible.
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-60.0, 60.0) * std::f32::consts::LOG2_E;
    let whole = x.floor();
    let part = (x - whole) * std::f32::consts::LN_2;
    let series = 1.0
        + part * (1.0 + part * (0.5 + part * (1.0 / 6.0 + part * (1.0 / 24.0 + part * (1.0 / 120.0 + part / 720.0)))));
    f32::from_bits(((whole as i32 + 127) as u32) << 23) * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential() {
        for x in [-50.0_f32, -3.2, -1e-3, 0.0, 0.5, 1.0, 20.0] {
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-4, "{x}");
        }
    }

    #[test]
    fn an_entity_goes_on_only_after_it_began() {
        let (first, other) = (Entity::ALL[0], Entity::ALL[1]);
        assert!(may_follow(Some(begin(first)), inside(first)) && may_follow(Some(inside(first)), inside(first)));
        assert!(!may_follow(Some(begin(other)), inside(first)) && !may_follow(Some(OUTSIDE), inside(first)));
        assert!(!may_follow(None, inside(first)) && may_follow(None, begin(first)) && !may_follow(None, LABELS));
    }

    /// All sequences of labels, enumerated.
    #[test]
    fn probabilities_are_those_of_summing_over_all_sequences() {
        let score = |seed: usize| ((seed * 7919 + 13) % 97) as f32 / 40.0 - 1.0;
        let from: [Row; WIDTH] = std::array::from_fn(|i| std::array::from_fn(|j| score(i * 31 + j)));
        let transitions = Transitions::new(&std::array::from_fn(|i| score(i + 500)), &from);
        let rows: Vec<Row> = (0..3).map(|t| std::array::from_fn(|i| score(t * 17 + i + 900))).collect();
        let mut expected = vec![[0.0_f64; WIDTH]; 3];
        let mut total = 0.0;
        for code in 0..LABELS.pow(3) {
            let labels = [code % LABELS, code / LABELS % LABELS, code / LABELS / LABELS];
            let mut weight = f64::from(transitions.start[labels[0]]);
            for t in 0..3 {
                weight *= f64::from(rows[t][labels[t]]).exp();
                weight *= if t > 0 { f64::from(transitions.from[labels[t - 1]][labels[t]]) } else { 1.0 };
            }
            (0..3).for_each(|t| expected[t][labels[t]] += weight);
            total += weight;
        }
        let mut workspace = Workspace { rows, ..Workspace::default() };
        workspace.run(&transitions);
        for (row, expected) in workspace.rows.iter().zip(&expected) {
            for (p, expected) in row.iter().zip(expected) {
                assert!((f64::from(*p) - expected / total).abs() < 1e-4);
            }
        }
    }
}
