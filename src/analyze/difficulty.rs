//! Fits and measures the difficulty estimate on recorded outcomes of pairs of models.
//!
//! Each row is a prompt with a weak (open, small) and a strong (closed or large) model's scores; what is learned is
//! their difference, the *gain*. A hash of the prompt decides which rows the model is fitted on, calibrated on and
//! measured on, and a hash of the subject keeps whole MMLU subjects away, so the committed artefact was never fitted
//! on a row that its evaluation uses.
//!
//! Fitting is deterministic: fixed order, one thread, sums in `f64`. The stored numbers are rounded (weights to a
//! 32767th of the largest, inverse document frequencies to a twentieth, the rest to `f32`), which also hides last-bit
//! differences between platforms' logarithms.

mod metrics;
mod ridge;
mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use self::metrics::{Curve, area_interval, auroc, calibration_error};
use self::ridge::{Design, solve};
use self::rows::{Row, Split, load};
use super::data::DataError;
use super::report::{Report, Table};
use crate::classify::difficulty::{BUCKETS, Estimator, Features, IDF_STEPS, Parameters, SHAPES, bucket, sublinear};

/// Strength of the penalty on the weights; chosen on the calibration rows.
const PENALTY: f64 = 8.0;

/// Least number of prompts a word or pair must occur in.
const MIN_PROMPTS: u32 = 2;

/// Fits the estimator on the rows that are neither held out nor of a kept-away subject, and writes it to `out`.
pub fn fit(data: &Path, out: &Path) -> Result<(), DataError> {
    let estimator = fit_rows(&load(data)?);
    std::fs::write(out, estimator.to_bytes()).map_err(|source| DataError::Write { path: out.to_owned(), source })
}

/// Measures the embedded estimator, prompt length, random choice and an oracle on the rows it was not fitted on.
pub fn evaluate(data: &Path) -> Result<Report, DataError> {
    evaluate_with(&Estimator::embedded(), &load(data)?)
}

fn evaluate_with(estimator: &Estimator, rows: &[Row]) -> Result<Report, DataError> {
    let header = ["rows", "n", "estimate by", "APGR", "95% interval", "CPT50", "CPT80", "AUROC", "ECE", "unknown"];
    let mut table = Table::new("Difficulty on rows the estimate was not fitted on", &header);
    for (name, rows) in groups(rows) {
        measure(&mut table, estimator, &name, &rows);
    }
    Ok(Report { tables: vec![table] })
}

// === Fitting ===

/// Fits on the rows of the split for it, calibrates on those of the split for that.
fn fit_rows(rows: &[Row]) -> Estimator {
    let of = |split: Split| rows.iter().filter(move |row| row.split == split);
    let fitted = centred(of(Split::Fit).filter_map(Example::new).collect());
    let idf = inverse_document_frequencies(&fitted);
    let scales = scales(&fitted);
    let weights = solve(&design(&fitted, &idf, &scales), PENALTY);
    let parameters = parameters(&weights, &scales, fitted.len());
    let steps = |w: &f64| (w / f64::from(parameters.weight_step)).round() as i16;
    let buckets: Vec<(i16, u8)> = weights[..BUCKETS].iter().map(steps).zip(idf).collect();
    let calibrating: Vec<Example> = of(Split::Calibrate).filter_map(Example::new).collect();
    let parameters = calibrated(Estimator::new(parameters.clone(), &buckets), parameters, &calibrating);
    Estimator::new(parameters, &buckets)
}

/// A row as the model sees it.
struct Example {
    set: &'static str,
    features: Features,
    gain: f64,
}

impl Example {
    fn new(row: &Row) -> Option<Self> {
        Some(Self { set: row.set, features: Features::new(&row.prompt)?, gain: row.gain() })
    }
}

/// Takes from each gain the mean of its data set: that is the pair of models', not the prompt's.
fn centred(mut examples: Vec<Example>) -> Vec<Example> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for example in &examples {
        let (sum, n) = sums.entry(example.set).or_default();
        (*sum, *n) = (*sum + example.gain, *n + 1.0);
    }
    for example in &mut examples {
        let (sum, n) = sums[example.set];
        example.gain -= sum / n;
    }
    examples
}

/// The rounded parameters, not calibrated.
fn parameters(weights: &[f64], scales: &[[f32; 2]; SHAPES], fitted: usize) -> Parameters {
    let largest = weights[..BUCKETS].iter().fold(f64::MIN_POSITIVE, |max, w| max.max(w.abs()));
    Parameters {
        provenance: format!("fitted on {fitted} outcomes of RouteLLM (MMLU, GSM8K), LLMRouter and RouterBench"),
        shapes: std::array::from_fn(|i| [scales[i][0], scales[i][1], (weights[BUCKETS + i] * SHAPE_SIZE) as f32]),
        weight_step: (largest / f64::from(i16::MAX)) as f32,
        calibration: [1.0, 0.0],
        min_known: [0.0; 2],
    }
}

/// Share of the calibration prompts that come out as unknown for lack of known words, and as many for pairs.
///
/// Small, as within these data sets the estimate is no worse on the prompts that a higher bar would refuse: the bar is
/// there for text unlike any of them.
const UNKNOWN_SHARE: f64 = 0.01;

/// Turns scores into gains by a least-squares line, and finds how much must be known.
fn calibrated(raw: Estimator, parameters: Parameters, examples: &[Example]) -> Parameters {
    let calibration = line(examples.iter().map(|e| (raw.score(&e.features), e.gain)));
    let known: Vec<[f64; 2]> = examples.iter().map(|e| raw.known_shares(&e.features)).collect();
    let min_known = [0, 1].map(|kind| {
        let mut shares: Vec<f64> = known.iter().map(|shares| shares[kind]).collect();
        shares.sort_by(f64::total_cmp);
        shares.get((shares.len() as f64 * UNKNOWN_SHARE) as usize).map_or(0.0, |share| *share as f32)
    });
    Parameters { calibration: calibration.map(|n| n as f32), min_known, ..parameters }
}

/// ln(prompts / prompts with the bucket) + 1, in steps; 0 where the bucket is too rare.
fn inverse_document_frequencies(fitted: &[Example]) -> Vec<u8> {
    let mut by_hash: BTreeMap<u32, u32> = BTreeMap::new();
    for (hash, _) in fitted.iter().flat_map(|example| &example.features.counts) {
        *by_hash.entry(*hash).or_default() += 1;
    }
    let mut prompts = vec![0_u32; BUCKETS];
    for (hash, n) in by_hash.into_iter().filter(|(_, n)| *n >= MIN_PROMPTS) {
        prompts[bucket(hash)] += n;
    }
    let idf = |n: u32| ((fitted.len() as f64 / f64::from(n)).ln() + 1.0) * IDF_STEPS;
    prompts.into_iter().map(|n| if n == 0 { 0 } else { idf(n).round().clamp(1.0, 255.0) as u8 }).collect()
}

/// Mean and inverse standard deviation of each feature of shape.
fn scales(fitted: &[Example]) -> [[f32; 2]; SHAPES] {
    let n = fitted.len().max(1) as f64;
    std::array::from_fn(|i| {
        let mean = fitted.iter().map(|e| e.features.shapes[i]).sum::<f64>() / n;
        let variance = fitted.iter().map(|e| (e.features.shapes[i] - mean).powi(2)).sum::<f64>() / n;
        [mean as f32, (1.0 / variance.sqrt().max(1e-6)) as f32]
    })
}

/// How much a standardised feature of shape counts beside the text, whose vector has length 1.
const SHAPE_SIZE: f64 = 0.05;

fn design(fitted: &[Example], idf: &[u8], scales: &[[f32; 2]; SHAPES]) -> Design {
    let mut design = Design::new(BUCKETS + SHAPES);
    for Example { features, gain, .. } in fitted {
        let text = features
            .counts
            .iter()
            .map(|(hash, count)| (bucket(*hash) as u32, sublinear(*count) * f64::from(idf[bucket(*hash)]) / IDF_STEPS));
        let text: Vec<(u32, f64)> = text.filter(|(_, value)| *value > 0.0).collect();
        let norm = text.iter().map(|(_, v)| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let shapes = (0..SHAPES).map(|i| {
            let [mean, scale] = scales[i].map(f64::from);
            ((BUCKETS + i) as u32, (features.shapes[i] - mean) * scale * SHAPE_SIZE)
        });
        design.push(text.into_iter().map(|(b, v)| (b, v / norm)).chain(shapes), *gain);
    }
    design
}

/// Slope and intercept of the least-squares line.
fn line(points: impl Iterator<Item = (f64, f64)>) -> [f64; 2] {
    let points: Vec<(f64, f64)> = points.collect();
    let n = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let (mut xx, mut xy) = (0.0, 0.0);
    for point in &points {
        xx += (point.0 - x).powi(2);
        xy += (point.0 - x) * (point.1 - y);
    }
    let slope = if xx > 0.0 { xy / xx } else { 1.0 };
    [slope, y - slope * x]
}

// === Measuring ===

/// The rows to measure on, by data set, with MMLU's kept-away subjects apart.
fn groups(rows: &[Row]) -> Vec<(String, Vec<&Row>)> {
    let mut groups: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let name = match row.split {
            Split::HeldOut => row.set.to_owned(),
            Split::UnseenSubject => format!("{}, unseen subjects", row.set),
            Split::Fit | Split::Calibrate => continue,
        };
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, group)) => group.push(row),
            None => groups.push((name, vec![row])),
        }
    }
    groups
}

fn interval(method: &str, scores: &[f64], gains: &[f64]) -> String {
    if method == "random" {
        return "–".to_owned();
    }
    let (low, high) = area_interval(scores, gains);
    format!("{low:.2} to {high:.2}")
}

fn measure(table: &mut Table, estimator: &Estimator, name: &str, rows: &[&Row]) {
    let estimates: Vec<Option<f64>> = rows.iter().map(|row| estimator.gain(&row.prompt).map(|g| g.value)).collect();
    let known: Vec<(&Row, f64)> = rows.iter().zip(&estimates).filter_map(|(r, e)| e.map(|e| (*r, e))).collect();
    let unknown = 1.0 - known.len() as f64 / rows.len().max(1) as f64;
    let rows: Vec<&Row> = known.iter().map(|(row, _)| *row).collect();
    let gains: Vec<f64> = rows.iter().map(|row| row.gain()).collect();
    let by = |score: &dyn Fn(usize, &Row) -> f64| -> Vec<f64> {
        rows.iter().enumerate().map(|(i, r)| score(i, r)).collect()
    };
    let methods: [(&str, Vec<f64>); 4] = [
        ("ajar", by(&|i, _| known[i].1)),
        ("prompt length", by(&|_, row| row.prompt.len() as f64)),
        ("random", by(&|_, _| 0.0)),
        ("oracle", by(&|_, row| row.gain())),
    ];
    for (method, scores) in methods {
        let curve = Curve::new(&scores, &gains);
        let error =
            if method == "ajar" { format!("{:.3}", calibration_error(&scores, &gains)) } else { "–".to_owned() };
        table.push([
            name.to_owned(),
            rows.len().to_string(),
            method.to_owned(),
            format!("{:.3}", curve.area()),
            interval(method, &scores, &gains),
            format!("{:.0}%", 100.0 * curve.share_for(0.5)),
            format!("{:.0}%", 100.0 * curve.share_for(0.8)),
            format!("{:.3}", auroc(&scores, &gains)),
            error,
            if method == "ajar" { format!("{:.0}%", 100.0 * unknown) } else { "–".to_owned() },
        ]);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::rows::SOURCES;
    use super::*;

    /// Data of the right form in which the strong model wins on proofs only.
    fn write_synthetic(folder: &Path) {
        std::fs::create_dir_all(folder.join("routing")).unwrap();
        for source in &SOURCES {
            let rows: Vec<String> = (0..300).map(|i| synthetic_row(source.weak, source.strong, i)).collect();
            std::fs::write(folder.join(source.file), rows.join("\n")).unwrap();
        }
    }

    fn synthetic_row(weak: &[&str], strong: &[&str], i: usize) -> String {
        let (prompt, gain) = if i.is_multiple_of(2) { ("prove the theorem", 1) } else { ("name the city", 0) };
        let scores = weak.iter().map(|m| (*m, 0)).chain(strong.iter().map(|m| (*m, gain)));
        let scores: BTreeMap<&str, i32> = scores.collect();
        let prompt = format!("please {prompt} of group {} number {i}", i % 7);
        serde_json::json!({ "prompt": prompt, "domain": format!("subject {}", i % 9), "scores": scores }).to_string()
    }

    #[test]
    fn fitting_finds_what_makes_the_difference_and_repeats_itself() {
        let folder = tempfile::tempdir().unwrap();
        write_synthetic(folder.path());
        let out = [folder.path().join("a.bin"), folder.path().join("b.bin")];
        fit(folder.path(), &out[0]).unwrap();
        fit(folder.path(), &out[1]).unwrap();
        let bytes = out.map(|path| std::fs::read(path).unwrap());
        assert!(bytes[0] == bytes[1]);
        let estimator = Estimator::parse(bytes[0].clone().into()).unwrap();
        let gain = |text: &str| estimator.gain(text).map(|gain| gain.value).unwrap();
        let (hard, easy) =
            (gain("please prove the theorem of group 3 number 9"), gain("please name the city of group 3 number 9"));
        assert!((hard - 1.0).abs() < 0.2 && easy.abs() < 0.2, "{hard} {easy}");
    }

    #[test]
    fn no_row_is_both_fitted_on_and_measured() {
        let folder = tempfile::tempdir().unwrap();
        write_synthetic(folder.path());
        let rows = load(folder.path()).unwrap();
        let fitted: Vec<&str> = rows.iter().filter(|r| r.split == Split::Fit).map(|r| r.prompt.as_str()).collect();
        let measured: Vec<&Row> = groups(&rows).into_iter().flat_map(|(_, rows)| rows).collect();
        assert!(!fitted.is_empty() && !measured.is_empty());
        let clean = |row: &&&Row| matches!(row.set, "MMLU" | "RouterArena") || !fitted.contains(&row.prompt.as_str());
        assert_eq!(measured.iter().filter(clean).count(), measured.len());
        assert!(rows.iter().all(|r| r.set != "RouterArena" || r.split == Split::HeldOut));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = evaluate(Path::new("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere/routing/routellm_mmlu.jsonl"), "{error}");
    }

    /// Runs where the data is, as `AJAR_DATA` says.
    #[test]
    fn the_embedded_artefact_is_what_fitting_gives() {
        let Some(data) = std::env::var_os("AJAR_DATA") else { return };
        let estimator = fit_rows(&load(Path::new(&data)).unwrap());
        assert!(estimator.to_bytes() == Estimator::embedded().to_bytes());
    }
}
