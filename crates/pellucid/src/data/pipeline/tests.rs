use super::*;

fn table(text: &str) -> Table {
    Table::from_reader("t.csv", text.as_bytes(), &TableOptions::default()).expect(text)
}

fn options(targets: &[&str]) -> FitOptions {
    FitOptions { targets: targets.iter().map(|target| target.to_string()).collect(), ..FitOptions::default() }
}

fn all(table: &Table) -> Vec<u32> {
    (0..table.rows() as u32).collect()
}

fn values(transformed: &Transformed) -> &[f32] {
    transformed.dataset.check().expect("consistent");
    match &transformed.dataset.features {
        Features::F32(values) => values,
        _ => panic!("tables are numbers"),
    }
}

const MIXED: &str = "size,colour,ok,when,price\n\
    1,red,yes,2024-01-01,10\n\
    ?,blue,no,2024-01-02,20.5\n\
    5,red,,2024-01-03,30\n\
    3,?,yes,2024-01-04,40\n";

#[test]
fn each_type_becomes_the_inputs_documented() {
    let table = table(MIXED);
    let pipeline = Pipeline::fit(&table, &options(&["price"]), &[0, 1, 2, 3]).expect("fits");
    assert_eq!(
        pipeline.feature_names(),
        [
            "size",
            "size missing",
            "colour=blue",
            "colour=red",
            "colour=(missing)",
            "ok",
            "ok missing",
            "when day",
            "when weekday",
            "when days"
        ]
    );
    let types: Vec<&str> = pipeline.summary().map(|column| column.column_type.name()).collect();
    assert_eq!(types, ["number", "category", "boolean", "date", "number"]);
    let used: Vec<ColumnUse<'_>> = pipeline.columns().map(|(_, used)| used).collect();
    assert_eq!(used[0], ColumnUse::Inputs(vec!["size".to_string(), "size missing".to_string()]));
    assert_eq!(used[4], ColumnUse::Target);
    let transformed = pipeline.transform(&table, &[1, 2, 3]).expect("transforms");
    // size: 1, 5, 3 have mean 3, standard deviation sqrt(8/3), median 3; day: 1 … 4 have mean 2.5, sqrt(1.25).
    let size = (2.0 / (8.0f64 / 3.0).sqrt()) as f32;
    let day = |day: f64| ((day - 2.5) / 1.25f64.sqrt()) as f32;
    let rows: Vec<&[f32]> = values(&transformed).chunks(10).collect();
    let share = 2.0 / 3.0;
    assert_eq!(rows[0], [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, day(2.0), day(2.0), day(2.0)]);
    assert_eq!(rows[1], [size, 0.0, 0.0, 1.0, 0.0, share, 1.0, day(3.0), day(3.0), day(3.0)]);
    assert_eq!(rows[2], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, day(4.0), day(4.0), day(4.0)]);
    assert_eq!(transformed.notes, Vec::<String>::new());
    let Task::Regression { targets } = pipeline.task() else { panic!("prices are numbers") };
    assert_eq!((targets[0].name.as_str(), targets[0].mean), ("price", 25.125));
    let units = pipeline.task().to_units(&transformed.dataset.targets);
    for (unit, price) in units.into_iter().zip([20.5, 30.0, 40.0]) {
        assert!((unit - price).abs() <= 40.0 * f64::from(f32::EPSILON), "{unit} for {price}");
    }
}

#[test]
fn a_stored_pipeline_gives_the_same_bits() {
    let table = table(MIXED);
    let pipeline = Pipeline::fit(&table, &options(&["price"]), &[0, 1, 3]).expect("fits");
    let json = serde_json::to_string(&pipeline).expect("stores");
    let stored: Pipeline = serde_json::from_str(&json).expect("loads");
    assert_eq!(stored, pipeline);
    let bits = |pipeline: &Pipeline| {
        let transformed = pipeline.transform(&table, &all(&table)).expect("transforms");
        values(&transformed).iter().chain(&transformed.dataset.targets).map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(&stored), bits(&pipeline));
}

#[test]
fn only_training_rows_are_learnt_from() {
    let text = |tail: &str| format!("x,c,y\n1,a,0\n2,b,1\n4,a,0\n{tail}");
    let (one, two) = (table(&text("8,b,1\n")), table(&text("1000000,new,1\n")));
    let fit = |table: &Table| Pipeline::fit(table, &options(&["y"]), &[0, 1, 2]).expect("fits");
    assert_eq!(fit(&one), fit(&two));
    let transformed = fit(&one).transform(&two, &[3]).expect("transforms");
    assert_eq!(values(&transformed)[1..], [0.0, 0.0], "an unknown category is none of the known");
    assert!(transformed.notes[0].contains("column `c`: 1 categories not seen in training, such as `new` in line 5"));
}

#[test]
fn tasks_are_inferred_and_can_be_set() {
    let column = |values: &[&str]| {
        let rows = values.iter().enumerate().map(|(i, value)| format!("{i},{value}\n"));
        table(&format!("x,y\n{}", rows.collect::<String>()))
    };
    let fit = |table: &Table, task| {
        let options = FitOptions { task, ..options(&["y"]) };
        Pipeline::fit(table, &options, &all(table)).map(|pipeline| pipeline.task().clone())
    };
    let classes = |table: &Table| fit(table, None).expect("fits").class_names().to_vec();
    assert_eq!(classes(&column(&["10", "9", "9.0", "10"])), ["9", "10"]);
    assert_eq!(classes(&column(&["b", "a", "c", "a"])), ["a", "b", "c"]);
    assert_eq!(classes(&column(&["yes", "no", "no", "yes"])), ["no", "yes"]);
    assert_eq!(classes(&column(&["<=50K", ">50K", "<=50K.", ">50K."])), ["<=50K", ">50K"]);
    assert_eq!(classes(&column(&["-1", "1", "-1", "1"])), ["-1", "1"]);
    let numbers = column(&["1", "2", "3", "4", "5"]);
    assert_eq!(fit(&numbers, None).expect("fits").name(), "regression");
    assert_eq!(fit(&numbers, Some(TaskKind::Multiclass)).expect("fits").output_width(), 5);
    assert!(matches!(fit(&numbers, Some(TaskKind::Binary)), Err(PipelineError::ClassCount { found: 5, .. })));
    assert!(matches!(fit(&numbers, Some(TaskKind::Multilabel)), Err(PipelineError::TargetType { .. })));
    let text = column(&["a", "b", "a", "b"]);
    assert!(matches!(fit(&text, Some(TaskKind::Regression)), Err(PipelineError::TargetType { .. })));
    assert_eq!(fit(&text, Some(TaskKind::Multiclass)).expect("fits").output_width(), 2);
    assert!(matches!(fit(&column(&["a", "a"]), None), Err(PipelineError::ClassCount { found: 1, .. })));
    let names: Vec<String> = (0..30).map(|i| format!("name {i}")).collect();
    let names = column(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(matches!(fit(&names, None), Err(PipelineError::TooManyClasses { distinct: 30, .. })));
}

#[test]
fn several_targets_are_labels_or_numbers() {
    let table = table("x,u,v,w\n1,0,1,2.5\n2,1,1,3.5\n3,0,0,1\n");
    let labels = Pipeline::fit(&table, &options(&["v", "u"]), &all(&table)).expect("fits");
    assert_eq!(labels.task(), &Task::Multilabel { labels: vec!["v".into(), "u".into()] });
    assert_eq!(labels.transform(&table, &[1, 0]).expect("transforms").dataset.targets, [1.0, 1.0, 1.0, 0.0]);
    let numbers = Pipeline::fit(&table, &options(&["u", "w"]), &all(&table)).expect("fits");
    assert_eq!((numbers.task().name(), numbers.task().output_width()), ("regression", 2));
    assert!(matches!(Pipeline::fit(&table, &options(&["u", "-3"]), &[0]), Err(PipelineError::Twice { .. })));
    let absent = Pipeline::fit(&table, &options(&["z"]), &[0]).expect_err("no such column").to_string();
    assert_eq!(absent, "t.csv has no column \"z\"; give one of `x`, `u`, `v`, `w`, or an index from -4 to 3");
}

#[test]
fn columns_without_use_are_left_out_with_a_note() {
    let rows: String = (0..40).map(|i| format!("{i},name {i},same,,{},{}\n", ["a", "b"][i % 2], i * i % 7)).collect();
    let table = table(&format!("row_id,name,constant,empty,kept,y\n{rows}"));
    let pipeline = Pipeline::fit(&table, &options(&["y"]), &all(&table)).expect("fits");
    assert_eq!(pipeline.feature_names(), ["kept=a", "kept=b"]);
    assert_eq!(pipeline.notes().len(), 4, "{:?}", pipeline.notes());
    let many = FitOptions { max_levels: 3, ..options(&["kept"]) };
    let rows: String = (0..40).map(|i| format!("{},{}\n", ["p", "q", "p", "r", "s"][i % 5], i % 2)).collect();
    let levels = self::table(&format!("c,kept\n{rows}"));
    let pipeline = Pipeline::fit(&levels, &many, &all(&levels)).expect("fits");
    assert_eq!(pipeline.feature_names(), ["c=p", "c=q", "c=(other)"]);
    let other = self::table("c,kept\ns,1\nunseen,1\np,0\n");
    let transformed = pipeline.transform(&other, &[0, 1, 2]).expect("transforms");
    assert_eq!(values(&transformed), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn skewed_numbers_are_compressed_and_absurd_ones_are_held() {
    let gain = |i: usize| if i.is_multiple_of(20) { [1_000, 5_000, 99_999][i / 20] } else { 0 };
    let rows: String = (0..60).map(|i| format!("{},{i},{}\n", gain(i), i % 2)).collect();
    let table = table(&format!("gain,even,y\n{rows}1e300,5,1\n"));
    let rows: Vec<u32> = (0..60).collect();
    let pipeline = Pipeline::fit(&table, &options(&["y"]), &rows).expect("fits");
    let json = serde_json::to_value(&pipeline).expect("stores");
    let log = |column: usize| json["columns"][column]["role"]["input"]["log"].as_bool();
    assert_eq!((log(0), log(1)), (Some(true), Some(false)), "{json}");
    let transformed = pipeline.transform_features(&table, &[60]).expect("transforms");
    assert!(values(&transformed).iter().all(|value| value.is_finite() && value.abs() <= 1000.0));
}

#[test]
fn words_among_numbers_count_as_missing() {
    let rows: String = (0..99).map(|i| format!("{i},{}\n", i % 2)).collect();
    let table = table(&format!("x,y\n{rows}unknown,1\n"));
    let pipeline = Pipeline::fit(&table, &options(&["y"]), &all(&table)).expect("fits");
    assert_eq!(pipeline.feature_names(), ["x", "x missing"]);
    assert!(pipeline.notes()[0].contains("`unknown` in line 101"), "{:?}", pipeline.notes());
}

#[test]
fn columns_are_matched_by_name_else_by_position() {
    let named = table("a,b,y\n1,10,no\n2,30,yes\n");
    let pipeline = Pipeline::fit(&named, &options(&["y"]), &[0, 1]).expect("fits");
    let read = |text: &str| Table::from_reader("p.csv", text.as_bytes(), &pipeline.table_options()).expect(text);
    let inputs = |text: &str| pipeline.transform_features(&read(text), &[0]).map(|done| values(&done).to_vec());
    let expected = Ok(vec![1.0, 1.0]);
    for text in ["b,extra,a\n30,7,2\n", "a,b,y\n2,30,?\n", "2,30\n", "2,30,no\n"] {
        assert_eq!(inputs(text), expected, "{text:?}");
    }
    let noted = pipeline.transform_features(&read("b,extra,a\n30,7,2\n"), &[0]).expect("transforms");
    assert!(noted.notes[0].contains("`extra`"), "{:?}", noted.notes);
    assert_eq!(
        inputs("a,c,y\n1,2,no\n").expect_err("no b").to_string(),
        "p.csv lacks the column(s) `b`; it has `a`, `c`, `y`"
    );
    assert_eq!(
        inputs("1\n").expect_err("too few").to_string(),
        "p.csv has 1 columns, but the model was trained on 3 (2 inputs, 1 to be predicted); \
         give the same columns in the same order, or the 2 inputs alone"
    );
    assert!(matches!(pipeline.transform(&read("2,30\n"), &[0]), Err(PipelineError::ColumnCount { .. })));
    assert!(matches!(pipeline.transform(&read("a,b\n2,30\n"), &[0]), Err(PipelineError::MissingColumns { .. })));
}

#[test]
fn targets_and_weights_without_sense_are_named_by_line() {
    let table = table("x,w,y\n1,1,a\n2,0.5,b\n3,-1,a\n4,1,?\n5,?,b\n");
    let options = FitOptions { weights: Some("w".into()), ..options(&["y"]) };
    assert_eq!(labelled_rows(&table, &options), Ok(vec![0, 1, 2, 4]));
    assert_eq!(strata(&table, &options, &[0, 1, 2, 4]), Ok(Some(vec![0, 1, 0, 1])));
    let pipeline = Pipeline::fit(&table, &options, &all(&table)).expect("fits");
    assert_eq!((pipeline.training_rows(), pipeline.feature_names()), (4, vec!["x".to_string()]));
    assert!(pipeline.notes()[0].contains("1 rows without a target"));
    let good = pipeline.transform(&table, &[1, 0]).expect("transforms").dataset;
    assert_eq!((good.weights, good.targets), (Some(vec![0.5, 1.0]), vec![1.0, 0.0]));
    let error = |row| pipeline.transform(&table, &[row]).expect_err("makes no sense").to_string();
    assert_eq!(error(2), "t.csv, line 4, column `w`: the sample weight `-1` is not a finite number of 0 or more");
    assert!(error(3).starts_with("t.csv, line 5, column `y`: the target is missing"));
    assert!(error(4).contains("line 6, column `w`"));
    let other = self::table("x,y\n1,b.\n2,c\n");
    assert_eq!(pipeline.transform(&other, &[0]).expect("a full stop").dataset.targets, [1.0]);
    let unknown = pipeline.transform(&other, &[1]).expect_err("unknown").to_string();
    assert!(unknown.contains("line 3, column `y`: class `c`") && unknown.contains("`a`, `b`"), "{unknown}");
}

#[test]
fn numbers_are_cut_into_pieces_in_large_tables_of_not_too_many_columns() {
    let width = |columns: usize, rows: usize| {
        let mut text = (0..=columns).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
        for row in 0..rows {
            text.push('\n');
            text.push_str(
                &(0..=columns).map(|column| ((row * (column + 3)) % 1009).to_string()).collect::<Vec<_>>().join(","),
            );
        }
        let table = table(&(text + "\n"));
        Pipeline::fit(&table, &options(&["-1"]), &all(&table)).expect("fits").width()
    };
    assert_eq!(width(3, 1999), 3);
    assert_eq!(width(3, 2000), 3 * 17);
    assert_eq!(width(64, 2000), 64 * 17);
    assert_eq!(width(65, 2000), 65);
}

#[test]
fn known_inputs_are_made_as_before_in_their_order_and_another_column_is_predicted() {
    let before = table(MIXED);
    let first = Pipeline::fit(&before, &options(&["price"]), &all(&before)).expect("fits");
    // Other places, other values, a column more, one of before that is predicted no longer.
    let text = "late,when,ok,colour,size\nno,2024-01-02,no,green,7\nyes,2024-01-09,yes,blue,2\n";
    let after = table(text);
    let known = FitOptions { inputs: InputColumns::Known(Box::new(first.clone())), ..options(&["late"]) };
    let second = Pipeline::fit(&after, &known, &all(&after)).expect("fits");
    assert_eq!(second.feature_names(), first.feature_names());
    assert_eq!((second.task().name(), second.target_names()), ("binary", vec!["late"]));
    let made = second.transform(&after, &all(&after)).expect("transforms");
    let made_before = first.transform_features(&after, &all(&after)).expect("transforms");
    assert_eq!(values(&made), values(&made_before));
    assert_eq!(made.dataset.targets, [0.0, 1.0]);
    // What was learnt goes on to be read by name in any order.
    let again = table("size,colour,ok,when,late\n7,green,no,2024-01-02,no\n");
    let rows = second.transform(&again, &[0]).expect("transforms");
    assert_eq!(values(&rows), &values(&made)[..second.width()]);
    // Without names, by place.
    let bare = |text: &str| {
        let options = TableOptions { header: Some(false), ..TableOptions::default() };
        Table::from_reader("b.csv", text.as_bytes(), &options).expect(text)
    };
    let (before, after) = (bare("1,5,a\n2,3,b\n4,4,a\n"), bare("2,9,0.5\n8,1,0.25\n"));
    let first = Pipeline::fit(&before, &options(&["-1"]), &all(&before)).expect("fits");
    let known = FitOptions { inputs: InputColumns::Known(Box::new(first.clone())), ..options(&["-1"]) };
    let second = Pipeline::fit(&after, &known, &all(&after)).expect("fits");
    let made = second.transform(&after, &all(&after)).expect("transforms");
    assert_eq!(values(&made), values(&first.transform_features(&after, &all(&after)).expect("transforms")));

    let refused = |text: &str, target: &str, inputs: &InputColumns| {
        let table = table(text);
        let options = FitOptions { inputs: inputs.clone(), ..options(&[target]) };
        Pipeline::fit(&table, &options, &all(&table)).expect_err("does not fit").to_string()
    };
    let named = Pipeline::fit(&table(MIXED), &options(&["price"]), &[0, 1, 2, 3]).expect("fits");
    let named = InputColumns::Known(Box::new(named));
    let missing = refused("size,late\n1,no\n2,yes\n", "late", &named);
    assert!(missing.contains("lacks the column(s) `colour`, `ok`, `when`"), "{missing}");
    let input = refused(MIXED, "size", &named);
    assert!(input.contains("column `size` is an input"), "{input}");
}

#[test]
fn numbers_can_be_taken_as_they_are() {
    let raw = FitOptions { inputs: InputColumns::AsTheyAre, ..options(&["y"]) };
    let numbers = table("a,b,c,y\n1e6,7,yes,2\n-3,7,no,3\n,7,no,4\n");
    let pipeline = Pipeline::fit(&numbers, &raw, &all(&numbers)).expect("fits");
    let made = pipeline.transform(&numbers, &all(&numbers)).expect("transforms");
    // Neither scaled nor held nor left out; what is missing is the median.
    let median = 499_998.5;
    assert_eq!(values(&made), [1e6, 7.0, 1.0, -3.0, 7.0, 0.0, median, 7.0, 0.0]);
    let json = serde_json::to_string(&pipeline).expect("JSON");
    assert_eq!(serde_json::from_str::<Pipeline>(&json).expect("reads"), pipeline);
    let words = table("a,b,y\n1,red,2\n2,blue,3\n");
    let error = Pipeline::fit(&words, &raw, &all(&words)).expect_err("words").to_string();
    assert!(error.contains("column `b` is of type category"), "{error}");
}
