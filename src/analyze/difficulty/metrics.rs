//! How well an estimate chooses whom to ask.

/// Quality recovered as ever more prompts, hardest first, go to the strong model.
///
/// Performance gap recovered (PGR) is 0 where all go to the weak model and 1 where all go to the strong one (Ong et
/// al., *RouteLLM*, arXiv 2406.18665, section 2.2).
#[derive(Clone, Debug)]
pub struct Curve {
    /// Share of prompts sent to the strong model and the gap recovered, from (0, 0) to (1, 1).
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// The curve of sending prompts in order of falling score; equal scores go in proportion.
    pub fn new(scores: &[f64], gains: &[f64]) -> Self {
        let total: f64 = gains.iter().sum();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let (mut sent, mut gained) = (0.0, 0.0);
        let mut points = vec![(0.0, 0.0)];
        for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
            sent += tied.len() as f64;
            gained += tied.iter().map(|i| gains[*i]).sum::<f64>();
            points.push((sent / scores.len() as f64, gained / total));
        }
        Self { points }
    }

    /// The area under the curve (APGR): 0.5 is chance.
    pub fn area(&self) -> f64 {
        self.points.windows(2).map(|p| (p[1].0 - p[0].0) * (p[0].1 + p[1].1) / 2.0).sum()
    }

    /// The least share of prompts that recovers so much of the gap (CPT, call-performance threshold).
    pub fn share_for(&self, gap: f64) -> f64 {
        let crossing = self.points.windows(2).find(|p| p[1].1 >= gap);
        crossing.map_or(1.0, |p| p[0].0 + (p[1].0 - p[0].0) * ((gap - p[0].1) / (p[1].1 - p[0].1)).clamp(0.0, 1.0))
    }
}

/// Resamples behind an interval.
const RESAMPLES: usize = 400;

/// The 95% bootstrap interval of the area under the curve (percentile method), drawn with a fixed seed.
pub fn area_interval(scores: &[f64], gains: &[f64]) -> (f64, f64) {
    let mut state = 1_u64;
    let mut areas: Vec<f64> = (0..RESAMPLES).map(|_| resampled_area(scores, gains, &mut state)).collect();
    areas.sort_by(f64::total_cmp);
    (areas[RESAMPLES / 40], areas[RESAMPLES - 1 - RESAMPLES / 40])
}

fn resampled_area(scores: &[f64], gains: &[f64], state: &mut u64) -> f64 {
    let drawn: Vec<usize> = scores.iter().map(|_| (splitmix(state) % scores.len() as u64) as usize).collect();
    let of = |values: &[f64]| -> Vec<f64> { drawn.iter().map(|i| values[*i]).collect() };
    Curve::new(&of(scores), &of(gains)).area()
}

/// The next number of SplitMix64 (Steele, Lea, Flood 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The chance that a prompt on which the strong model is strictly better scores above one on which it is not; ties
/// count half (the Mann–Whitney statistic).
pub fn auroc(scores: &[f64], gains: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut wins, mut below, mut better) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let positive = tied.iter().filter(|i| gains[**i] > 0.0).count() as f64;
        let negative = tied.len() as f64 - positive;
        wins += positive * (below + negative / 2.0);
        below += negative;
        better += positive;
    }
    wins / (better * below)
}

/// Buckets of the calibration error.
const BINS: usize = 10;

/// Expected calibration error of the gain: over ten groups of equal size by estimate, the mean distance between what
/// was estimated and what was gained.
pub fn calibration_error(estimates: &[f64], gains: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..estimates.len()).collect();
    order.sort_by(|a, b| estimates[*a].total_cmp(&estimates[*b]));
    let size = order.len().div_ceil(BINS).max(1);
    let distance = |group: &[usize]| group.iter().map(|i| estimates[*i] - gains[*i]).sum::<f64>().abs();
    order.chunks(size).map(distance).sum::<f64>() / estimates.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{Curve, area_interval, auroc, calibration_error};

    const GAINS: [f64; 4] = [1.0, 0.0, 0.0, 1.0];

    #[test]
    fn one_score_for_all_is_chance() {
        let curve = Curve::new(&[0.0; 4], &GAINS);
        assert_eq!((curve.area(), curve.share_for(0.5), auroc(&[0.0; 4], &GAINS)), (0.5, 0.5, 0.5));
    }

    #[test]
    fn an_oracle_recovers_the_gap_with_the_prompts_that_matter() {
        let curve = Curve::new(&GAINS, &GAINS);
        assert_eq!((curve.area(), curve.share_for(0.5), auroc(&GAINS, &GAINS)), (0.75, 0.25, 1.0));
    }

    #[test]
    fn the_interval_holds_the_area() {
        let scores: Vec<f64> = (0..200).map(f64::from).collect();
        let gains: Vec<f64> = (0..200).map(|i| f64::from(i % 3 + i / 100)).collect();
        let (low, high) = area_interval(&scores, &gains);
        let area = Curve::new(&scores, &gains).area();
        assert!(low < area && area < high && high - low < 0.2, "{low} {area} {high}");
    }

    #[test]
    fn the_worst_order_is_as_far_below_chance() {
        let scores = GAINS.map(|g| -g);
        assert_eq!((Curve::new(&scores, &GAINS).area(), auroc(&scores, &GAINS)), (0.25, 0.0));
    }

    #[test]
    fn calibration_error_is_the_mean_distance_in_groups() {
        assert_eq!(calibration_error(&GAINS, &GAINS), 0.0);
        assert_eq!(calibration_error(&[0.5; 4], &GAINS), 0.5);
    }
}
