//! Real tables, from the file to the data set.

use std::path::PathBuf;

use pellucid::data::pipeline::{self, ColumnType};
use pellucid::data::{
    Division, Features, FitOptions, Fractions, Pipeline, Split, Table, TableOptions, Task, Transformed,
};

/// The folder of test data: `PELLUCID_DATA`, else `shared/data` beside the repository.
fn data(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PELLUCID_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = folder.join(file);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there; set PELLUCID_DATA to the folder of test data", path.display());
        return None;
    }
    Some(path)
}

fn read(file: &str) -> Option<Table> {
    Some(Table::read(data(file)?, &TableOptions::default()).expect(file))
}

fn fit(table: &Table) -> (Pipeline, Transformed) {
    let rows = pipeline::labelled_rows(table, &FitOptions::default()).expect("labelled");
    let pipeline = Pipeline::fit(table, &FitOptions::default(), &rows).expect("fits");
    let transformed = pipeline.transform(table, &rows).expect("transforms");
    transformed.dataset.check().expect("consistent");
    (pipeline, transformed)
}

fn values(transformed: &Transformed) -> &[f32] {
    match &transformed.dataset.features {
        Features::F32(values) => values,
        _ => panic!("tables are numbers"),
    }
}

#[test]
fn adult_from_both_files() {
    let (Some(train), Some(test)) = (read("tables/adult-train.csv"), read("tables/adult-test.csv")) else { return };
    assert_eq!((train.rows(), test.rows(), train.columns()), (32_561, 16_281, 15));
    assert!(!train.has_header() && !test.has_header());
    let (pipeline, transformed) = fit(&train);
    let types: Vec<ColumnType> = pipeline.summary().map(|column| column.column_type).collect();
    assert_eq!(types.iter().filter(|kind| **kind == ColumnType::Number).count(), 6);
    assert_eq!(types.iter().filter(|kind| **kind == ColumnType::Category).count(), 9, "eight and the target");
    let missing: Vec<(String, usize)> = pipeline
        .summary()
        .filter(|column| column.missing > 0)
        .map(|column| (column.name.clone(), column.missing))
        .collect();
    // Counts of `?` by grep: workclass, occupation, native country.
    assert_eq!(missing, [("column2".into(), 1836), ("column7".into(), 1843), ("column14".into(), 583)]);
    assert_eq!(pipeline.task(), &Task::Binary { classes: ["<=50K".into(), ">50K".into()] });
    let pieces = pipeline.feature_names().iter().filter(|name| name.contains('–')).count();
    assert_eq!(pipeline.width() - pieces, 108, "six numbers, 99 levels, three of them for missing values");
    assert!(pieces > 6 * 4 && pieces <= 6 * 18, "the ranges of the numbers are cut: {pieces}");
    let positive: f32 = transformed.dataset.targets.iter().sum();
    assert_eq!(positive, 7841.0, "rows above 50K by the data set's description");

    // Standardised numbers have mean 0 and standard deviation 1 over the training rows, to rounding.
    let age = values(&transformed).iter().step_by(pipeline.width()).map(|value| f64::from(*value));
    let (sum, squares) = age.fold((0.0, 0.0), |(sum, squares), z| (sum + z, squares + z * z));
    let rows = train.rows() as f64;
    assert!((sum / rows).abs() <= 1e-6 && (squares / rows - 1.0).abs() <= 1e-6, "{sum} {squares}");

    let scored = pipeline.labelled_rows(&test).expect("matches");
    let transformed = pipeline.transform(&test, &scored).expect("labels with a full stop are the same classes");
    assert_eq!(transformed.dataset.targets.iter().sum::<f32>(), 3846.0);
    assert!(values(&transformed).iter().all(|value| value.is_finite()));

    let stored: Pipeline = serde_json::from_str(&serde_json::to_string(&pipeline).expect("stores")).expect("loads");
    let again = stored.transform(&test, &scored).expect("transforms");
    let bits = |transformed: &Transformed| values(transformed).iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(&again) == bits(&transformed), "the stored pipeline gives other bits");
}

#[test]
fn small_tables_are_read_as_what_they_are() {
    let cases = [
        ("tables/pima-indians-diabetes.csv", 768, 8, "binary", 2, false),
        ("tables/iris.csv", 150, 4, "multiclass", 3, false),
        ("embed/iris.csv", 150, 4, "multiclass", 3, false),
        ("tables/wheat-seeds.csv", 210, 7, "multiclass", 3, false),
        ("tables/banknote_authentication.csv", 1372, 4, "binary", 2, false),
        ("tables/housing.csv", 506, 13, "regression", 0, false),
        ("tables/airline-passengers.csv", 144, 4, "regression", 0, true),
        ("embed/digits.csv.gz", 1797, 61, "multiclass", 10, false),
    ];
    for (file, rows, inputs, task, classes, header) in cases {
        let Some(table) = read(file) else { continue };
        assert_eq!((table.rows(), table.has_header()), (rows, header), "{file}");
        let (pipeline, transformed) = fit(&table);
        let found = (pipeline.width(), pipeline.task().name(), pipeline.task().class_names().len());
        assert_eq!(found, (inputs, task, classes), "{file}: {:?}", pipeline.feature_names());
        assert_eq!(transformed.dataset.rows(), rows);
        assert!(values(&transformed).iter().all(|value| value.is_finite()), "{file}");
    }
}

#[test]
fn the_months_of_the_airline_are_dates() {
    let Some(table) = read("tables/airline-passengers.csv") else { return };
    assert_eq!(table.names(), ["Month", "Passengers"]);
    let (pipeline, _) = fit(&table);
    assert_eq!(pipeline.feature_names(), ["Month year", "Month month", "Month weekday", "Month days"]);
    let month = pipeline.summary().next().expect("two columns");
    assert_eq!(month.dates, Some(("1949-01-01".to_string(), "1960-12-01".to_string())));
}

#[test]
fn iris_splits_by_class() {
    let Some(table) = read("tables/iris.csv") else { return };
    let options = FitOptions::default();
    let rows = pipeline::labelled_rows(&table, &options).expect("labelled");
    let strata = pipeline::strata(&table, &options, &rows).expect("classes");
    let split = Split::new(
        &rows,
        &Division {
            strata: strata.as_deref(),
            fractions: Fractions { validation: 0.1, test: 0.2 },
            seed: 1,
            ..Division::default()
        },
    )
    .expect("splits");
    let pipeline = Pipeline::fit(&table, &options, &split.train).expect("fits");
    let targets = pipeline.transform(&table, &split.test).expect("transforms").dataset.targets;
    let counts = [0.0, 1.0, 2.0].map(|class| targets.iter().filter(|target| **target == class).count());
    assert_eq!(counts, [10, 10, 10]);
    assert_eq!((split.train.len(), split.validation.len()), (105, 15));
}
