//! Fits the field: stochastic gradient ascent on the likelihood of the labels that are known.
//!
//! Where a token may have one of several labels, its likelihood is that of all of them together (Tsuboi et al.,
//! *Training Conditional Random Fields Using Incomplete Annotations*, COLING 2008). Steps are scaled for each weight by
//! its past gradients (AdaGrad, Duchi et al. 2011). One thread, a fixed order and an exponential of our own make the
//! result the same everywhere.

use super::examples::{Example, Prepared, Rows};
use super::random::Random;
use crate::classify::names::chain::{LABELS, Row, Transitions, WIDTH, Workspace};
use crate::classify::names::lexicon::Lexicon;
use crate::classify::names::model::{Model, Weights};

/// What a model learns from an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learner {
    /// The likelihood of its labels.
    Field,
    /// Whether the best labels are right: the averaged perceptron (Collins, EMNLP 2002), here for comparison.
    Perceptron,
}

/// How a model is fitted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// By what.
    pub learner: Learner,
    /// Rows of the table, as a power of two.
    pub bits: u32,
    /// Passes over the documents.
    pub passes: usize,
    /// Size of a step.
    pub rate: f32,
    /// How much of a weight is lost each time it is used.
    pub decay: f32,
}

/// Fits a model on documents; `words` are the lexicon's entries.
pub fn fit(prepared: Vec<Prepared>, words: Vec<(u32, u16)>, provenance: String, settings: Settings) -> Model {
    let rows = Rows::new(&prepared, settings.bits);
    let examples: Vec<Example> = prepared.iter().map(|p| rows.example(p)).filter(|e| !e.ends.is_empty()).collect();
    drop(prepared);
    let mut field = Field::new(1 << settings.bits, settings);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut random = Random::new(3);
    for _ in 0..settings.passes {
        random.shuffle(&mut order);
        order.iter().for_each(|at| field.learn(&examples[*at]));
    }
    field.model(&rows.checks, words, provenance)
}

/// A weight of each label, and what was learned of it so far.
#[derive(Clone, Copy)]
struct Learned {
    weights: Row,
    /// The sum of squared gradients; of a perceptron, of changes, each times how many examples came before.
    past: Row,
}

const NOTHING: Learned = Learned { weights: [0.0; WIDTH], past: [0.0; WIDTH] };

impl Learned {
    fn step(&mut self, gradient: &Row, settings: &Settings, seen: usize) {
        for ((weight, past), g) in self.weights.iter_mut().zip(&mut self.past).zip(gradient).take(LABELS) {
            match settings.learner {
                Learner::Field => {
                    *past += g * g;
                    let size = settings.rate / (*past + 0.1).sqrt();
                    *weight = *weight * (1.0 - settings.decay) + size * g;
                }
                Learner::Perceptron => {
                    *weight += g;
                    *past += g * seen as f32;
                }
            }
        }
    }

    /// The weights in the end.
    fn learned(&self, settings: &Settings, seen: usize) -> Row {
        match settings.learner {
            Learner::Field => self.weights,
            // Perceptrons' scores are of any size: these come near to log odds.
            Learner::Perceptron => {
                std::array::from_fn(|i| (self.weights[i] - self.past[i] / seen.max(1) as f32) * PERCEPTRON_SCALE)
            }
        }
    }
}

/// What a perceptron's score counts in log odds.
const PERCEPTRON_SCALE: f32 = 0.1;

/// The field while it is fitted.
struct Field {
    table: Vec<Learned>,
    start: Learned,
    from: [Learned; WIDTH],
    settings: Settings,
    free: Workspace,
    bound: Workspace,
    /// Examples learned from so far.
    seen: usize,
}

impl Field {
    fn new(rows: usize, settings: Settings) -> Self {
        Self {
            table: vec![NOTHING; rows],
            start: NOTHING,
            from: [NOTHING; WIDTH],
            settings,
            free: Workspace::default(),
            bound: Workspace::default(),
            seen: 0,
        }
    }

    /// One step towards the labels that an example may have.
    fn learn(&mut self, example: &Example) {
        let transitions = Transitions::new(&self.start.weights, &self.from.map(|row| row.weights));
        let scores: Vec<Row> = (0..example.ends.len()).map(|at| self.score(example.rows_of(at))).collect();
        self.free.rows.clone_from(&scores);
        self.bound.rows = scores;
        self.free.weigh(None);
        self.bound.weigh(Some(&example.allowed));
        self.seen += 1;
        for workspace in [&mut self.free, &mut self.bound] {
            match self.settings.learner {
                Learner::Field => workspace.sweep(&transitions),
                Learner::Perceptron => decide(workspace, &transitions),
            }
        }
        for at in 0..example.ends.len() {
            let (expected, allowed) = (marginals(&self.free, at), marginals(&self.bound, at));
            let gradient: Row = std::array::from_fn(|i| allowed[i] - expected[i]);
            if gradient.iter().all(|g| g.abs() < 1e-3) {
                continue;
            }
            for row in example.rows_of(at) {
                self.table[*row as usize].step(&gradient, &self.settings, self.seen);
            }
        }
        self.learn_transitions(&transitions, example.ends.len());
    }

    fn score(&self, rows: &[u32]) -> Row {
        let mut sums = [0.0; WIDTH];
        for row in rows {
            for (sum, weight) in sums.iter_mut().zip(&self.table[*row as usize].weights) {
                *sum += weight;
            }
        }
        sums
    }

    fn learn_transitions(&mut self, transitions: &Transitions, tokens: usize) {
        let mut gradients = [[0.0; WIDTH]; WIDTH];
        for at in 1..tokens {
            add_pairs(&self.bound, transitions, at, 1.0, &mut gradients);
            add_pairs(&self.free, transitions, at, -1.0, &mut gradients);
        }
        for (row, gradient) in self.from.iter_mut().zip(&gradients).take(LABELS) {
            row.step(gradient, &self.settings, self.seen);
        }
        let (expected, allowed) = (marginals(&self.free, 0), marginals(&self.bound, 0));
        self.start.step(&std::array::from_fn(|i| allowed[i] - expected[i]), &self.settings, self.seen);
    }

    fn model(&self, checks: &[u16], words: Vec<(u32, u16)>, provenance: String) -> Model {
        let learned = |row: &Learned| row.learned(&self.settings, self.seen);
        let weights: Vec<Row> = self.table.iter().map(learned).collect();
        let largest = weights.iter().flatten().fold(0.0_f32, |most, w| most.max(w.abs()));
        let step = largest.clamp(0.01, MOST_WEIGHT) / f32::from(i8::MAX);
        let table = weights.iter().zip(checks).map(|(row, check)| rounded(row, *check, step)).collect();
        Model { provenance, table, step, start: learned(&self.start), from: self.from.map(|row| learned(&row)), words }
    }
}

/// Larger weights are cut: few are, and all others gain in precision.
const MOST_WEIGHT: f32 = 5.0;

/// A row in steps; one without any weight is empty.
fn rounded(weights: &Row, check: u16, step: f32) -> Weights {
    let labels: [i8; LABELS] = std::array::from_fn(|i| (weights[i] / step).round().clamp(-127.0, 127.0) as i8);
    if labels.iter().all(|label| label.unsigned_abs() < LEAST_STEPS) {
        Weights::default()
    } else {
        Weights { check, labels }
    }
}

/// A row whose weights are all smaller says too little to be kept.
const LEAST_STEPS: u8 = 3;

/// Finds the best labels (Viterbi 1967), and makes them all of the probability, in the form of a sweep.
fn decide(workspace: &mut Workspace, transitions: &Transitions) {
    let n = workspace.weights.len();
    let mut best: Vec<Row> = Vec::with_capacity(n);
    let mut came_from = vec![[0_usize; WIDTH]; n];
    for (at, came_from) in came_from.iter_mut().enumerate() {
        let mut row: Row = transitions.start;
        if let Some(before) = at.checked_sub(1).and_then(|before| best.get(before)) {
            for (to, value) in row.iter_mut().enumerate().take(LABELS) {
                let ways = (0..LABELS).map(|from| (from, before[from] * transitions.from[from][to]));
                (came_from[to], *value) = ways.fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
            }
        }
        let row: Row = std::array::from_fn(|i| row[i] * workspace.weights[at][i]);
        let sum: f32 = row.iter().sum();
        best.push(row.map(|value| value / sum.max(f32::MIN_POSITIVE)));
    }
    let Some(last) = best.last() else { return };
    let mut label = (0..LABELS).fold(0, |a, b| if last[b] > last[a] { b } else { a });
    workspace.forward = vec![[0.0; WIDTH]; n];
    for at in (0..n).rev() {
        workspace.forward[at][label] = 1.0;
        label = came_from[at][label];
    }
    workspace.backward = vec![[1.0; WIDTH]; n];
    workspace.weights = workspace.forward.clone();
}

fn marginals(workspace: &Workspace, at: usize) -> Row {
    let row: Row = std::array::from_fn(|i| workspace.forward[at][i] * workspace.backward[at][i]);
    let sum: f32 = row.iter().sum();
    row.map(|value| value / sum.max(f32::MIN_POSITIVE))
}

/// Adds how likely each label follows each at the token `at`, `times` over.
fn add_pairs(workspace: &Workspace, transitions: &Transitions, at: usize, times: f32, sums: &mut [Row; WIDTH]) {
    let ahead: Row = std::array::from_fn(|j| workspace.weights[at][j] * workspace.backward[at][j]);
    let pairs: [Row; WIDTH] = std::array::from_fn(|i| {
        std::array::from_fn(|j| workspace.forward[at - 1][i] * transitions.from[i][j] * ahead[j])
    });
    let total: f32 = pairs.iter().flatten().sum();
    if total > f32::MIN_POSITIVE {
        for (sum, pair) in sums.iter_mut().flatten().zip(pairs.iter().flatten()) {
            *sum += times * pair / total;
        }
    }
}

/// Tokens, labels and features of documents.
pub fn prepare(documents: &[super::corpus::Document], words: &[(u32, u16)]) -> Vec<Prepared> {
    let lexicon = Lexicon::new(words);
    documents.iter().map(|document| Prepared::new(document, &lexicon)).collect()
}
