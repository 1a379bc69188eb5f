//! Rows of the matrix, and how they are judged.

use crate::support::{Question, line};
use aldis_trust::{Code, Level};

struct Row {
    name: &'static str,
    question: Question,
    /// The code of the refusal at each level, or none.
    refused: [(Level, Option<Code>); 2],
}

/// Chains and what must become of them.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn accept(&mut self, name: &'static str, question: Question) {
        self.push(name, question, None, None);
    }

    /// Hygiene: accepted at level `default`.
    pub fn refuse_at_strict(&mut self, name: &'static str, code: Code, question: Question) {
        self.push(name, question, None, Some(code));
    }

    pub fn refuse(&mut self, name: &'static str, code: Code, question: Question) {
        self.push(name, question, Some(code), Some(code));
    }

    fn push(&mut self, name: &'static str, question: Question, default: Option<Code>, strict: Option<Code>) {
        self.rows.push(Row { name, question, refused: [(Level::Default, default), (Level::Strict, strict)] });
    }

    /// Prints every row and fails with those that are wrong.
    pub fn check(self) {
        let mut wrong = Vec::new();
        let count = self.rows.len();
        for Row { name, mut question, refused } in self.rows {
            for (level, refused) in refused {
                question.policy.level = level;
                let verdict = question.ask();
                let expected = refused.map_or("trusted", Code::as_str);
                let right = verdict.code() == refused;
                let level = format!("{level:?}");
                let text = format!("{name:28} {level:7} expected {expected:26} found {}", line(&verdict));
                println!("{} {text}", if right { "ok   " } else { "WRONG" });
                if !right {
                    wrong.push(text);
                }
            }
        }
        println!("{count} rows");
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}
