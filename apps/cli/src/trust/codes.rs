//! `aldis trust codes`: the closed list of what a judgement can find.

use super::args::Codes;
use super::words;
use crate::failure::{Exit, Outcome};
use crate::layout::Table;
use crate::output::Output;
use aldis_trust::Code;
use serde_json::json;

/// How wide the codes are, with a gap.
const CODE: usize = 28;

/// Prints every code with its meaning, in the order in which findings are shown.
///
/// # Errors
/// That of standard output.
pub(super) fn run(_args: &Codes, out: &mut Output) -> Outcome {
    if out.is_json() {
        for code in Code::ALL {
            out.json(&json!({
                "code": code.as_str(),
                "stage": code.stage().as_str(),
                "who": code.who().as_str(),
                "meaning": code.meaning(),
            }))?;
        }
        return Ok(Exit::Done);
    }
    let mut stage = None;
    for code in Code::ALL {
        if stage.replace(code.stage()) != Some(code.stage()) {
            let title = format!("{} ({}):\n", words::stage(code.stage()), code.stage());
            out.text(&if *code == Code::NoCertificate { title } else { format!("\n{title}") })?;
        }
        let mut table = Table::new(2, CODE);
        table.row(code.as_str(), code.meaning());
        out.text(&table.finish())?;
    }
    Ok(Exit::Done)
}
