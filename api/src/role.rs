//! What an account may do.

use std::str::FromStr;

/// A role. Its name on the wire, in SQL and on the command line is the registry's own, in French.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Administers the registry.
    Admin,
    /// A search app.
    Moteur,
    /// An operator of taxis.
    Operateur,
    /// A group of taxis; serves statistics alone.
    Groupement,
    /// A software editor; serves statistics alone.
    Editeur,
    /// A department's authority.
    Departement,
    /// A town hall.
    Mairie,
    /// A prefecture.
    Prefecture,
    /// An analyst of the ministry.
    Analyste,
}

/// Who sees everything.
pub const ADMINISTRATORS: &[Role] = &[Role::Admin];
/// Who registers taxis and reports for them.
pub const REGISTRARS: &[Role] = &[Role::Admin, Role::Operateur];
/// Who searches.
pub const SEARCHERS: &[Role] = &[Role::Admin, Role::Moteur, Role::Operateur];
/// Who asks the archive.
pub const ANALYSTS: &[Role] = &[Role::Admin, Role::Analyste];

impl Role {
    /// Every role.
    pub const ALL: [Self; 9] = [
        Self::Admin,
        Self::Moteur,
        Self::Operateur,
        Self::Groupement,
        Self::Editeur,
        Self::Departement,
        Self::Mairie,
        Self::Prefecture,
        Self::Analyste,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Moteur => "moteur",
            Self::Operateur => "operateur",
            Self::Groupement => "groupement",
            Self::Editeur => "editeur",
            Self::Departement => "departement",
            Self::Mairie => "mairie",
            Self::Prefecture => "prefecture",
            Self::Analyste => "analyste",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|role| role.as_str()).collect();
            format!("one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().unwrap_err().contains("operateur"));
    }
}
