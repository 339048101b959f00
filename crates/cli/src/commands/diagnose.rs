//! `pellucid diagnose`.

use std::path::Path;

use pellucid::diagnose::{Finding, Rule, cannot_fit, of_history, of_network};
use serde_json::json;

use crate::args::DiagnoseArgs;
use crate::device::device;
use crate::diagnosis::{data_findings, loss_without, network_view};
use crate::error::Outcome;
use crate::ready::{ready, resolve};
use crate::run_folder::{CONFIG, MODEL, read_history};
use crate::say::{Say, wrap};
use crate::terminal::{Ink, Screen};
use crate::trained::open_model;

/// Looks for what is wrong with data, network and, if there is one, the run.
pub fn run(arguments: DiagnoseArgs) -> Outcome<()> {
    let DiagnoseArgs { data, settings, look } = arguments;
    let say = Say::new(look);
    let folder = Some(Path::new(&data)).filter(|path| path.join(CONFIG).is_file());
    let config = folder.map(|folder| folder.join(CONFIG).to_string_lossy().into_owned());
    let (word, settings) = resolve(config.as_deref().unwrap_or(&data), settings)?;
    let device = device(settings.isa.as_deref(), settings.threads)?;
    let (prepared, recipe) = ready(word, settings, look.quiet || look.json)?;
    let train = prepared.train.part();
    let seed = recipe.options.seed;

    let fresh = recipe.start(&device);
    let start = network_view(&prepared, &recipe, (&fresh, true), &train, &device);
    let mut network = of_network(&start)?;
    network.extend(cannot_fit(&start, seed)?);
    let mut stages = vec![("the data", data_findings(&prepared)?), ("the network at its start", network)];
    if let Some(folder) = folder.filter(|folder| folder.join(MODEL).is_file()) {
        let model = open_model(&folder.join(MODEL))?;
        let trained = network_view(&prepared, &recipe, (&model.parameters, false), &train, &device);
        stages.push(("the trained network", of_network(&trained)?));
        let history = read_history(&folder.join("history.csv"))?;
        stages
            .push(("its epochs", of_history(&history, loss_without(&prepared, &recipe), recipe.options.restore_best)));
    }
    for (stage, findings) in &stages {
        say.result(&stage_text(stage, findings, &say.screen))?;
    }
    let all = stages.iter().flat_map(|(stage, findings)| findings.iter().map(move |finding| (stage, finding)));
    let objects = all.map(|(stage, finding)| {
        let Finding { rule, place, number, message } = finding;
        json!({
            "stage": stage, "rule": rule, "place": place, "number": number, "message": message,
            "remedy": rule.remedy(), "source": rule.source(),
        })
    });
    say.json(&json!({"findings": objects.collect::<Vec<_>>(), "rules": Rule::ALL.len()}))
}

fn stage_text(stage: &str, findings: &[Finding], screen: &Screen) -> String {
    let mut out = format!("{}\n", screen.paint(Ink::Strong, stage));
    if findings.is_empty() {
        return out + "  nothing found\n\n";
    }
    for finding in findings {
        let rule = finding.rule;
        let head = format!("{}: {}", rule.name(), finding.place);
        out.push_str(&format!("  {}\n", screen.paint(Ink::Wrong, &screen.clean(&head))));
        for text in [&finding.message[..], &format!("try: {}", rule.remedy()), rule.source()] {
            for line in wrap(&screen.clean(text), screen.width - 4) {
                let line = if text == rule.source() { screen.paint(Ink::Faint, &line) } else { line };
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
    out + "\n"
}
