//! Whether a conversation stays with the destination that answered it last.

use super::{Answered, Decider};
use crate::policy::decision::{Candidate, Plan};

impl Decider<'_> {
    /// Moves the destination that answered the conversation last to the front, where the conversation stays with it. Only
    /// among those that the plan has anyway.
    pub(super) fn stay(&self, plan: &mut Plan) -> bool {
        let last = |c: &Candidate| self.inputs.states[usize::from(c.id.0)].answered;
        let Some((at, answered)) = plan.as_slice().iter().enumerate().find_map(|(at, c)| Some((at, last(c)?))) else {
            return false;
        };
        let (first, previous) = (plan.as_slice()[0], plan.as_slice()[at]);
        let stays = at > 0 && self.keeps(&first, &previous, answered);
        if stays {
            plan.as_mut_slice()[..=at].rotate_right(1);
        }
        stays
    }

    /// Whether the conversation stays with `previous` though `first` is the plan's first. Without a word of the set only
    /// what belongs to `previous` does, where that costs no more.
    fn keeps(&self, first: &Candidate, previous: &Candidate, answered: Answered) -> bool {
        let (new, old) = (self.shadow_price(first), self.shadow_price(previous));
        let Some(affinity) = &self.set.affinity else { return answered.bound && old <= new };
        let is_up = match (first.p_ok, previous.p_ok) {
            (Some(new), Some(old)) if new != old => new > old,
            _ => new > old,
        };
        let rule = if is_up { affinity.switch_up } else { affinity.switch_down };
        let with_cache = Candidate { worst_case: answered.cached.unwrap_or(previous.worst_case), ..*previous };
        let too_dear = affinity.price_prompt_cache && !is_up && self.shadow_price(&with_cache) <= new;
        answered.bound || !rule.allows(answered.user_turn) || too_dear
    }
}
