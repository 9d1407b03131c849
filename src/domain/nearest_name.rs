//! The known name that is most like a wrong one: "did you mean …?"
//!
//! Owns how alike two names must be, so that one may be proposed for the other.
//!
//! Not here: the names (settings in `config/`, topics in `store/`).

/// How alike two names must be, from 0 to 1.
const LIKENESS_MIN: f64 = 0.85;

/// The most similar of the known names that were looked at, one after the other.
pub struct NearestName<'n> {
    wanted: &'n str,
    nearest: Option<Candidate>,
}

struct Candidate {
    likeness: f64,
    name: String,
}

impl<'n> NearestName<'n> {
    /// Begins a search for a name like this one.
    #[must_use]
    pub const fn new(wanted: &'n str) -> Self {
        Self { wanted, nearest: None }
    }

    /// Looks at a known name.
    pub fn look_at(&mut self, known: &str) {
        let likeness = strsim::jaro_winkler(self.wanted, known);
        let is_nearer = self.nearest.as_ref().is_none_or(|best| likeness >= best.likeness);
        if likeness > LIKENESS_MIN && is_nearer {
            self.nearest = Some(Candidate { likeness, name: known.to_owned() });
        }
    }

    /// The nearest name, if one is near enough.
    #[must_use]
    pub fn found(self) -> Option<String> {
        self.nearest.map(|best| best.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_proposed_if_it_is_near_enough() {
        let known = ["alerts", "billing", "ops.db", "ops.web"];
        for (wanted, nearest) in [
            ("alets", Some("alerts")),
            ("alert", Some("alerts")),
            ("Alerts", Some("alerts")),
            ("ops.bd", Some("ops.db")),
            ("ops.weeb", Some("ops.web")),
            ("invoices", None),
            ("x", None),
        ] {
            let mut search = NearestName::new(wanted);
            known.iter().for_each(|one| search.look_at(one));
            assert_eq!(search.found().as_deref(), nearest, "{wanted}");
        }
    }
}
