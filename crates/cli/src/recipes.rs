//! Recipes by name: settings that do well on well-known data, each a `run.toml` that leaves the data to the user.

use pellucid::suggest;

use crate::error::{Failure, Outcome};
use crate::settings::Settings;

/// Settings under a name.
#[derive(Clone, Copy, Debug)]
pub struct NamedRecipe {
    /// What `--recipe` takes.
    pub name: &'static str,
    /// The settings, as TOML.
    pub settings: &'static str,
}

/// All of them. What each reaches, and in which time, stands in BENCHMARKS.md.
pub const RECIPES: &[NamedRecipe] = &[
    NamedRecipe { name: "cifar10", settings: include_str!("../recipes/cifar10.toml") },
    NamedRecipe { name: "mnist", settings: include_str!("../recipes/mnist.toml") },
    NamedRecipe { name: "mnist-fast", settings: include_str!("../recipes/mnist-fast.toml") },
];

/// The settings called `name`.
///
/// # Errors
/// If there are none; with those that there are.
pub fn find(name: &str) -> Outcome<Settings> {
    let names = || RECIPES.iter().map(|recipe| recipe.name);
    let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) else {
        let near = suggest::nearest(name, names()).map(|near| format!(" did you mean {near}?")).unwrap_or_default();
        let known: Vec<&str> = names().collect();
        return Err(Failure::new(format!("there is no recipe '{name}';{near} there are {}", known.join(", "))));
    };
    Settings::parse(recipe.settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_can_be_read_and_settles_network_rate_and_epochs() {
        for recipe in RECIPES {
            let settings = find(recipe.name).unwrap_or_else(|error| panic!("{}: {}", recipe.name, error.message()));
            let settled = (settings.net.is_some(), settings.lr.is_some(), settings.epochs.is_some());
            assert_eq!(settled, (true, true, true), "{}", recipe.name);
            assert_eq!((settings.data, settings.seed), (None, None), "{}", recipe.name);
        }
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let message = find("cifar-10").unwrap_err().message().to_string();
        assert!(message.contains("did you mean cifar10?") && message.contains("mnist-fast"), "{message}");
    }
}
