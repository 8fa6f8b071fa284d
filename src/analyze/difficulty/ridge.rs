//! Ridge regression on sparse rows by conjugate gradient.

/// Sparse rows with the value to predict.
#[derive(Debug)]
pub struct Design {
    columns: usize,
    /// Where each row begins in `entries`; one more than there are rows.
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
    /// What each row's prediction should be.
    gains: Vec<f64>,
}

impl Design {
    /// No rows yet.
    pub fn new(columns: usize) -> Self {
        Self { columns, starts: vec![0], entries: Vec::new(), gains: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl Iterator<Item = (u32, f64)>, gain: f64) {
        self.entries.extend(row);
        self.starts.push(self.entries.len());
        self.gains.push(gain);
    }

    fn rows(&self) -> impl Iterator<Item = &[(u32, f64)]> {
        self.starts.windows(2).map(|bounds| &self.entries[bounds[0]..bounds[1]])
    }

    fn times(&self, weights: &[f64]) -> Vec<f64> {
        self.rows().map(|row| row.iter().map(|(column, value)| value * weights[*column as usize]).sum()).collect()
    }

    fn transposed_times(&self, values: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.columns];
        for (row, by) in self.rows().zip(values) {
            for (column, value) in row {
                out[*column as usize] += value * by;
            }
        }
        out
    }
}

/// Most steps; the residual is far below rounding long before.
const MAX_STEPS: usize = 300;

/// The weights w that minimise |Xw - y|² + penalty·|w|², by the conjugate gradient method on the normal equations
/// (CGLS: Björck, *Numerical Methods for Least Squares Problems*, 1996, section 7.4).
pub fn solve(design: &Design, penalty: f64) -> Vec<f64> {
    let mut weights = vec![0.0; design.columns];
    let mut residual = design.gains.clone();
    let mut slope = design.transposed_times(&residual);
    let mut direction = slope.clone();
    let mut size = dot(&slope, &slope);
    let enough = size * 1e-14;
    for _ in 0..MAX_STEPS {
        if size <= enough {
            break;
        }
        let image = design.times(&direction);
        let step = size / (dot(&image, &image) + penalty * dot(&direction, &direction));
        add(&mut weights, step, &direction);
        add(&mut residual, -step, &image);
        slope = design.transposed_times(&residual);
        add(&mut slope, -penalty, &weights);
        let next = dot(&slope, &slope);
        let turn = next / size;
        direction.iter_mut().zip(&slope).for_each(|(d, s)| *d = s + turn * *d);
        size = next;
    }
    weights
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], by: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(t, w)| *t += by * w);
}

#[cfg(test)]
mod tests {
    use super::{Design, solve};

    #[test]
    fn conjugate_gradient_finds_the_closed_form_solution() {
        // X = [[1, 0], [1, 1], [0, 2]], y = [1, 2, 3], penalty 1: (XᵀX + I) w = Xᵀy with XᵀX = [[2, 1], [1, 5]].
        let mut design = Design::new(2);
        design.push([(0, 1.0)].into_iter(), 1.0);
        design.push([(0, 1.0), (1, 1.0)].into_iter(), 2.0);
        design.push([(1, 2.0)].into_iter(), 3.0);
        let weights = solve(&design, 1.0);
        // Inverse of [[3, 1], [1, 6]] times [3, 8].
        let expected = [10.0 / 17.0, 21.0 / 17.0];
        for (weight, expected) in weights.iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-9, "{weights:?}");
        }
    }
}
