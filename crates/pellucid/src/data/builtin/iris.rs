//! Iris flowers: four lengths in centimetres, three species of 50 flowers each.
//!
//! R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7, 1936.

use std::fmt::Write;

use crate::data::TaskKind;
use crate::data::sources::{Origin, Source, TableText};

pub(crate) const SOURCE: Source = Source {
    name: "iris",
    description: "lengths of petals and sepals of three species of iris",
    rows: 150,
    test_rows: 0,
    task: TaskKind::Multiclass,
    origin: Origin::Table(load),
};

const NAMES: &str = "sepal_length,sepal_width,petal_length,petal_width,species";
const TARGET: &str = "species";
/// The first line holds the numbers of rows and inputs and the names of the species; a row ends in the species' number.
const CSV: &str = include_str!("../../../assets/iris.csv");

/// The table: a header with the names of the columns, and the species by name.
///
/// # Panics
/// Never: the text is part of the program, and a test reads it.
pub fn load() -> TableText {
    let mut lines = CSV.lines();
    let species: Vec<&str> = lines.next().expect("counts and names").split(',').skip(2).collect();
    let mut csv = format!("{NAMES}\n");
    for line in lines {
        let (lengths, number) = line.rsplit_once(',').expect("lengths and species");
        let number: usize = number.parse().expect("the species' number");
        // Writing to a string cannot fail.
        let _ = writeln!(csv, "{lengths},{}", species[number]);
    }
    TableText { target: TARGET, csv }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_names_and_fifty_flowers_of_each_species() {
        let table = load();
        let lines: Vec<&str> = table.csv.lines().collect();
        assert_eq!((lines.len(), lines[0]), (151, NAMES));
        assert_eq!(lines[1], "5.1,3.5,1.4,0.2,setosa");
        assert_eq!(lines[150], "5.9,3.0,5.1,1.8,virginica");
        for species in ["setosa", "versicolor", "virginica"] {
            assert_eq!(lines.iter().filter(|line| line.ends_with(species)).count(), 50);
        }
        assert!(lines[1..].iter().all(|line| line.split(',').take(4).all(|cell| cell.parse::<f32>().is_ok())));
    }
}
