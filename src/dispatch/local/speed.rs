//! How fast an engine is on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::try_join_all;

use super::{Engine, EngineError, Generation, Job, Sharing};
use crate::chat::Priority;
use crate::chat::reply::{Delta, Usage};
use crate::chat::request::{ChatRequest, Content, Message, Sampling};

/// How long a measurement may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What answers at once took. Rates are over all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// How many answers there were at once.
    pub at_once: u32,
    /// Tokens of each prompt.
    pub prompt: u64,
    /// Prompt tokens read per second, until all answers had begun.
    pub read: f64,
    /// Tokens generated per second, after all answers had begun.
    pub generated: f64,
    /// Time to the first token, on average.
    pub first_token: Duration,
}

/// When an answer began and ended, and what it used.
struct Course {
    began: Instant,
    ended: Instant,
    usage: Usage,
}

/// Has `engine`, which is idle and keeps no prefixes, answer prompts of about `prompt` tokens with up to `answer` tokens
/// each, so many `at_once`.
///
/// # Errors
/// The engine's: of too long a prompt, say.
pub async fn speed(engine: &Engine, at_once: u32, prompt: usize, answer: u32) -> Result<Speed, EngineError> {
    let generations = (0..at_once).map(|number| engine.generate(job(number, prompt, answer)));
    let generations: Vec<Generation> = generations.collect::<Result<_, _>>()?;
    let asked = Instant::now();
    let courses = try_join_all(generations.into_iter().map(course)).await?;
    let all_begun = courses.iter().map(|course| course.began).max().unwrap_or(asked);
    let all_ended = courses.iter().map(|course| course.ended).max().unwrap_or(asked);
    let input: u64 = courses.iter().map(|course| course.usage.input).sum();
    // The first token of each comes with the end of its prompt.
    let output: u64 = courses.iter().map(|course| course.usage.output.saturating_sub(1)).sum();
    let waited: Duration = courses.iter().map(|course| course.began - asked).sum();
    let per_second = |tokens: u64, time: Duration| tokens as f64 / time.as_secs_f64().max(f64::EPSILON);
    Ok(Speed {
        at_once,
        prompt: courses.first().map_or(0, |course| course.usage.input),
        read: per_second(input, all_begun - asked),
        generated: per_second(output, all_ended - all_begun),
        first_token: waited / at_once.max(1),
    })
}

async fn course(mut generation: Generation) -> Result<Course, EngineError> {
    let mut began = None;
    while let Some(delta) = generation.next().await {
        let delta = delta?;
        let now = Instant::now();
        let began = *began.get_or_insert(now);
        if let Delta::Usage(usage) = delta {
            return Ok(Course { began, ended: now, usage });
        }
    }
    Err(EngineError::Stopped)
}

fn job(number: u32, prompt: usize, answer: u32) -> Job {
    // Nine tokens or so.
    let text = "The fox saw the crow in the tree. ".repeat(prompt / 9);
    let text = format!("{number}. Go on with this story, at length. {text}");
    let message = Message { content: vec![Content::Text(text.into())], ..Message::default() };
    let sampling = Sampling { temperature: Some(0.0), ..Sampling::default() };
    let request = Arc::new(ChatRequest { messages: vec![message], sampling, ..ChatRequest::default() });
    let sharing = Sharing { tenant: "bench".into(), class: "bench".into() };
    Job { request, max_output: answer, deadline: Instant::now() + PATIENCE, sharing, priority: Priority::default() }
}
