use super::*;

fn schedule(text: &str, total: u64, per_epoch: u64) -> Schedule {
    Schedule::new(&ScheduleConfig::parse(text).expect("a schedule"), 1.0, total, per_epoch).expect("good settings")
}

#[test]
fn epochs_are_counted_unless_steps_are_asked_for() {
    let epochs = schedule("step:2:0.5", 100, 10);
    assert_eq!([0, 19, 20, 39, 40].map(|step| epochs.rate(step)), [1.0, 1.0, 0.5, 0.5, 0.25]);
    let steps = schedule("step:2:0.5,unit=step", 100, 10);
    assert_eq!([0, 1, 2, 4].map(|step| steps.rate(step)), [1.0, 1.0, 0.5, 0.25]);
    let milestones = schedule("multi_step:3:5,gamma=0.5", 100, 10);
    assert_eq!([29, 30, 49, 50].map(|step| milestones.rate(step)), [1.0, 0.5, 0.5, 0.25]);
    let exponential = schedule("exponential:0.5", 100, 10);
    assert_eq!([9, 10, 20].map(|step| exponential.rate(step)), [1.0, 0.5, 0.25]);
    let restarts = schedule("cosine_restarts:2:2", 100, 10);
    assert_eq!([0, 20, 60].map(|step| restarts.rate(step)), [1.0; 3]);
    assert!((restarts.rate(10) - 0.5).abs() < 1e-15 && (restarts.rate(40) - 0.5).abs() < 1e-15);
}

#[test]
fn what_goes_over_the_run_ends_with_it_and_stays() {
    for (text, end) in [
        ("cosine", 0.0),
        ("cosine:min_lr=0.25", 0.25),
        ("polynomial:2", 0.0),
        ("linear", 0.0),
        ("linear:1:0.5", 0.5),
        ("one_cycle:max_lr=2", 2.0 / 25.0 / 1e4),
        ("cosine:steps=50", 0.0),
        ("cosine:min_lr=0.25,warmup=30", 0.25),
    ] {
        let schedule = schedule(text, 100, 7);
        assert!((schedule.rate(100) - end).abs() < 1e-15, "{text}");
        assert_eq!(schedule.rate(100), schedule.rate(1_000_000), "{text}");
        assert!(schedule.rate(30) > schedule.rate(60) || text == "cosine:steps=50", "{text}");
    }
}

#[test]
fn a_warm_up_rises_evenly_to_where_the_schedule_begins() {
    for text in ["constant", "cosine", "reduce_on_plateau", "step:1"] {
        let (warm, cold) = (schedule(&format!("{text}:warmup=3").replace("1:w", "1,w"), 23, 4), schedule(text, 20, 4));
        assert_eq!([0, 1, 2, 3].map(|step| warm.rate(step)), [0.25, 0.5, 0.75, 1.0]);
        assert!((0..40).all(|step| warm.rate(step + 3) == cold.rate(step)), "{text}");
    }
}

#[test]
fn one_cycle_is_sound_for_short_runs_and_extreme_parts() {
    for total in [0, 1, 2, 3, 4, 10] {
        for pct in ["0", "0.1", "0.3", "1"] {
            for anneal in ["cos", "linear"] {
                let cycle = schedule(&format!("one_cycle:max_lr=1,pct_start={pct},anneal={anneal}"), total, 1);
                for step in 0..12 {
                    let rate = cycle.rate(step);
                    assert!(rate > 0.0 && rate <= 1.0 + 1e-12, "{total} {pct} {step}: {rate}");
                }
            }
        }
    }
}

#[test]
fn a_plateau_lowers_the_rate_and_the_state_goes_on_exactly() {
    let text =
        "reduce_on_plateau:patience=1,factor=0.3,cooldown=1,mode=max,threshold=0.1,threshold_mode=abs,min_lr=0.01";
    let metrics = [0.5, 0.55, 0.6, 0.65, f64::NAN, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8];
    let mut whole = schedule(text, 100, 1);
    let mut rates = vec![];
    for metric in metrics {
        whole.observe(metric);
        rates.push(whole.rate(0));
    }
    // 0.6 is no better than 0.5 + 0.1; the second bad observation in a row is one too many, and the next does not count.
    assert_eq!(rates[..4], [1.0, 1.0, 0.3, 0.3]);
    assert_eq!(rates.last(), Some(&0.01));
    for cut in 0..metrics.len() {
        let mut first = schedule(text, 100, 1);
        metrics[..cut].iter().for_each(|metric| first.observe(*metric));
        let state = serde_json::from_str(&first.state().to_string()).expect("JSON");
        let mut second = schedule(text, 100, 1);
        second.restore(&state).expect("its state");
        for (metric, rate) in metrics[cut..].iter().zip(&rates[cut..]) {
            second.observe(*metric);
            assert_eq!(second.rate(0).to_bits(), rate.to_bits());
        }
    }
    let error = whole.restore(&Value::from(3)).unwrap_err().to_string();
    assert!(error.contains("schedule reduce_on_plateau"), "{error}");
}

#[test]
fn text_and_documents_round_trip_for_every_schedule() {
    let mut texts: Vec<String> = Curve::NAMES.iter().map(|name| name.to_string()).collect();
    texts.extend(
        [
            "step:7:0.3,unit=step",
            "multi_step:4:11:20,warmup=5",
            "one_cycle:max_lr=0.01,anneal=linear,steps=31",
            "cosine:min_lr=1e-5",
            "reduce_on_plateau:mode=max,patience=2",
            "linear:0.1:1,steps=10",
        ]
        .map(str::to_string),
    );
    for text in texts {
        let config = ScheduleConfig::parse(&text).expect("a schedule");
        assert_eq!(ScheduleConfig::parse(&config.to_string()), Ok(config.clone()), "{config}");
        let json = serde_json::to_string(&config).expect("JSON");
        assert_eq!(serde_json::from_str::<ScheduleConfig>(&json).expect("a schedule"), config, "{json}");
        let document = toml::to_string(&config).expect("TOML");
        assert_eq!(toml::from_str::<ScheduleConfig>(&document).expect("a schedule"), config, "{document}");
    }
    assert_eq!(ScheduleConfig::default().to_string(), "constant");
    let config = ScheduleConfig::parse("multi_step:4:11,gamma=0.5,warmup=3").expect("a schedule");
    assert_eq!(config.to_string(), "multi_step:gamma=0.5,milestones=4:11,warmup=3");
}

#[test]
fn mistakes_are_named() {
    for (text, message) in [
        ("cosin", "there is no schedule 'cosin'; did you mean 'cosine'?"),
        ("step:gama=0.1", "step has no setting 'gama'; did you mean 'gamma'?"),
        ("step:0", "'step_size' must be 1 or more, got 0"),
        ("step:1:2:3", "'step' must be a setting with its name, such as lr=0.1, got 3"),
        ("cosine:min_lr=-1", "'min_lr' must be 0 or more, got -1"),
        ("cosine:min_lr", "'min_lr' must be a number, got 'true'"),
    ] {
        assert_eq!(ScheduleConfig::parse(text).unwrap_err().to_string(), message);
    }
    for text in ["step:1.5", "one_cycle:anneal=cubic", "step:1,unit=batch", "step:1:nan"] {
        let error = ScheduleConfig::parse(text).unwrap_err().to_string();
        assert!(error.contains("must be"), "{error}");
    }
    let typo = r#"{"name":"cosine","min_rl":0.1}"#;
    let error = serde_json::from_str::<ScheduleConfig>(typo).unwrap_err().to_string();
    assert!(error.contains("min_rl"), "{error}");
}
