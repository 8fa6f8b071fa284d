//! The report as one page of Markdown that reads as plain text too.

use std::fmt::Write as _;

use super::AgainstArgs;
use crate::audit::Report;
use crate::audit::report::Group;
use crate::record::ClassGroup;

pub(super) fn page(report: &Report, against: &AgainstArgs) -> String {
    let question = &report.question;
    let mut page = format!("# What was sent of class `{}`\n\n", question.class);
    let classes: Vec<String> = question.at_or_above.iter().map(|class| format!("`{class}`")).collect();
    let _ = write!(
        page,
        "From {} to {}. Classes at or above it: {}, by the policies in force (`{}`).\n\n**{}**\n",
        question.since,
        question.until,
        classes.join(", "),
        short(&question.policy),
        answer(report)
    );
    sent(&mut page, report);
    requests(&mut page, report);
    policies(&mut page, report);
    ledger(&mut page, report, against);
    proves(&mut page, against);
    page
}

fn answer(report: &Report) -> String {
    let class = &report.question.class;
    let mut sentences = vec![match report.sent_outside {
        0 => format!("The ledger has no body of class `{class}` or above that was sent outside."),
        n => format!("{n} bodies of class `{class}` or above were sent outside."),
    }];
    if report.unknown_outside > 0 {
        sentences.push(format!(
            "{} bodies were sent outside without an entry: of which class is not known.",
            report.unknown_outside
        ));
    }
    if !report.verification.is_sound() {
        sentences.push("The ledger does not verify, so it proves nothing.".to_owned());
    }
    sentences.join(" ")
}

fn sent(page: &mut String, report: &Report) {
    page.push_str("\n## Sent\n\n");
    if report.sent.is_empty() {
        page.push_str("Nothing was sent to any destination in this time.\n");
        return;
    }
    let row = |group: &Group| {
        let Group { kind, sums, concerned } = group;
        let transforms = if kind.transforms.is_empty() { "none" } else { &kind.transforms };
        let concerned = if *concerned { "**yes**" } else { "no" };
        vec![
            kind.destination.clone(),
            kind.origin.clone(),
            if kind.boundary == "host" { "inside" } else { "outside" }.to_owned(),
            kind.class.clone(),
            concerned.to_owned(),
            kind.basis.clone(),
            transforms.to_owned(),
            kind.audit.clone(),
            sums.entries.to_string(),
            sums.bytes.to_string(),
        ]
    };
    let header =
        ["destination", "address", "", "class sent", "at or above", "basis", "transforms", "audit", "bodies", "bytes"];
    table(page, &header, report.sent.iter().map(row));
}

fn requests(page: &mut String, report: &Report) {
    page.push_str("\n## Requests of the class, by the record\n\n");
    let Some(groups) = &report.requests else {
        page.push_str("No record is kept, so who answered such requests is not known.\n");
        return;
    };
    if groups.is_empty() {
        page.push_str("There was none.\n");
    } else {
        let row = |group: &ClassGroup| {
            let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "nobody".to_owned());
            let side = match group.local {
                Some(true) => "inside",
                Some(false) => "outside",
                None => "",
            };
            let class = group.class.clone().unwrap_or_default();
            let basis = group.basis.clone().unwrap_or_default();
            vec![
                class,
                basis,
                name(&group.served_by),
                side.to_owned(),
                group.requests.to_string(),
                group.sent_outside.to_string(),
            ]
        };
        let header = ["class", "basis", "answered by", "", "requests", "of these sent outside"];
        table(page, &header, groups.iter().map(row));
        page.push_str(
            "\nA request of the class that was sent outside left in a lower class, after transforms that the policies \
             demand; the ledger's `class sent` says in which.\n",
        );
    }
    if report.unclassified > 0 {
        let _ = writeln!(
            page,
            "\n{} further requests ended before they were classified; nothing of those is sent.",
            report.unclassified
        );
    }
}

fn policies(page: &mut String, report: &Report) {
    if report.policies.is_empty() {
        return;
    }
    page.push_str("\n## Policies under which something was sent\n\n");
    let row = |used: &crate::audit::report::PolicyUse| {
        vec![format!("`{}`", short(&used.policy)), used.first.clone(), used.last.clone(), used.entries.to_string()]
    };
    table(page, &["digest", "first", "last", "bodies"], report.policies.iter().map(row));
}

fn ledger(page: &mut String, report: &Report, against: &AgainstArgs) {
    let found = &report.verification;
    page.push_str("\n## The ledger\n\n");
    let numbers = found.numbers.map_or("none".to_owned(), |(first, last)| format!("{first} to {last}"));
    let _ = writeln!(page, "- Ledger `{}`, entries {numbers}.", found.ledger);
    if found.pruned > 0 {
        let _ = writeln!(page, "- Entries 1 to {} were removed for age, under a signed statement.", found.pruned);
    }
    let _ = writeln!(
        page,
        "- Bodies without an entry: {} outside, {} inside.",
        report.unknown_outside, report.unknown_inside
    );
    let confirmed = |confirmed: &Option<crate::audit::verify::Confirmed>| {
        confirmed.as_ref().map_or("none".to_owned(), |c| format!("entry {}, signed {}", c.entries, c.at))
    };
    let _ = writeln!(page, "- Confirmed by its own checkpoints up to: {}.", confirmed(&found.confirmed));
    let elsewhere = if against.checkpoints.is_empty() {
        "not asked for (`--checkpoint`)".to_owned()
    } else {
        confirmed(&found.confirmed_elsewhere)
    };
    let _ = writeln!(page, "- Confirmed by checkpoints kept elsewhere up to: {elsewhere}.");
    for key in &found.keys {
        let trusted =
            if against.keys.is_empty() { "not compared with a known one (`--public-key`)" } else { "as given" };
        let _ = writeln!(page, "- Signed by `{key}`, {trusted}.");
    }
    if found.is_sound() {
        page.push_str("- The chain verifies: no entry was changed, removed, inserted, reordered or cut off.\n");
    }
    for fault in &found.faults {
        let _ = writeln!(page, "- **{fault}**");
    }
    if found.further_faults > 0 {
        let _ = writeln!(page, "- **and {} more**", found.further_faults);
    }
}

fn proves(page: &mut String, against: &AgainstArgs) {
    page.push_str("\n## What this proves, and what not\n\n");
    page.push_str(
        "- ajar has one door to destinations, and nothing passes it without being entered. An entry says that a body was \
         about to be sent: some may not have arrived.\n",
    );
    page.push_str(
        "- A body of `audit` *required* left only after its entry was on disk. One of *best_effort* may have left before: a gap \
         says how many entries could not be written, but what was not yet written when the process was killed or the machine \
         failed is missing without one.\n",
    );
    page.push_str(if against.checkpoints.is_empty() || against.keys.is_empty() {
        "- Somebody who can write the ledger's file *and* read its key could have written all of it anew. Only a checkpoint \
         that was kept elsewhere, together with the public key, excludes that, up to its entry.\n"
    } else {
        "- Up to the entry that a checkpoint kept elsewhere confirms, not even somebody with the key could have altered the \
         ledger since. Later entries rest on the ledger's own checkpoints.\n"
    });
    page.push_str(
        "- The class is what the policies made of the request. `declared` is certain as far as whoever declared it is right; \
         `deterministic` is as good as the patterns, `statistical` as good as the model, and both may have missed \
         something; `unknown` restricts.\n",
    );
    page.push_str(
        "- It says nothing about ways past ajar, about what a destination did with what it received, or about rows that \
         were deleted from the record.\n",
    );
}

fn table(page: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> =
        std::iter::once(header.iter().map(|name| (*name).to_owned()).collect()).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    for (i, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
        let _ = writeln!(page, "|{}", cells.collect::<String>());
        if i == 0 {
            let rules = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2)));
            let _ = writeln!(page, "|{}", rules.collect::<String>());
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
