//! Who may do what: six rights, given by project and environment, bundled in roles.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{EnvironmentName, ProjectName};

/// What a route or a verb asks for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// See everything.
    View,
    /// Send telemetry, changes and heartbeats.
    Ingest,
    /// Acknowledge, resolve, restart, halt.
    Operate,
    /// Make and run release orders.
    Release,
    /// Approve somebody else's order.
    Approve,
    /// Configuration, people, tokens, hosts.
    Administer,
}

/// A bundle of rights with a name that people know.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// view
    Viewer,
    /// ingest only: for programs that send
    Sender,
    /// view, operate
    Operator,
    /// view, operate, release
    Releaser,
    /// view, operate, release, approve
    Approver,
    /// everything
    Admin,
}

impl Role {
    /// All roles, mildest first.
    pub const ALL: [Role; 6] = [Role::Viewer, Role::Sender, Role::Operator, Role::Releaser, Role::Approver, Role::Admin];

    /// The rights in it.
    pub fn rights(self) -> &'static [Right] {
        use Right::*;
        match self {
            Role::Viewer => &[View],
            Role::Sender => &[Ingest],
            Role::Operator => &[View, Operate],
            Role::Releaser => &[View, Operate, Release],
            Role::Approver => &[View, Operate, Release, Approve],
            Role::Admin => &[View, Ingest, Operate, Release, Approve, Administer],
        }
    }

    /// Reads `viewer`, `sender`, ...
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.to_string() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Viewer => "viewer",
            Role::Sender => "sender",
            Role::Operator => "operator",
            Role::Releaser => "releaser",
            Role::Approver => "approver",
            Role::Admin => "admin",
        })
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Right::View => "view",
            Right::Ingest => "ingest",
            Right::Operate => "operate",
            Right::Release => "release",
            Right::Approve => "approve",
            Right::Administer => "administer",
        })
    }
}

/// A role within a project and an environment; without one of them: in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What.
    pub role: Role,
    /// Where: a project, or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// Where: an environment, or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
}

impl Grant {
    /// A role everywhere.
    pub fn everywhere(role: Role) -> Grant {
        Grant { role, project: None, environment: None }
    }

    /// Whether it gives `right` in that place. A place that is not named asks for a grant everywhere, but for
    /// [`Right::View`] and [`Right::Ingest`], which know no place.
    pub fn gives(&self, right: Right, project: Option<&ProjectName>, environment: Option<&EnvironmentName>) -> bool {
        let placeless = matches!(right, Right::View | Right::Ingest);
        let covers = |granted: bool| placeless || granted;
        self.role.rights().contains(&right)
            && covers(self.project.is_none() || (project.is_some() && self.project.as_ref() == project))
            && covers(self.environment.is_none() || (environment.is_some() && self.environment.as_ref() == environment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_end_at_their_place() {
        let project = |name: &str| ProjectName::new(name).unwrap();
        let environment = |name: &str| EnvironmentName::new(name).unwrap();
        let grant = Grant { role: Role::Releaser, project: Some(project("mall")), environment: Some(environment("uat")) };
        assert!(grant.gives(Right::Release, Some(&project("mall")), Some(&environment("uat"))));
        assert!(!grant.gives(Right::Release, Some(&project("mall")), Some(&environment("prod"))));
        assert!(!grant.gives(Right::Release, None, None));
        assert!(!grant.gives(Right::Approve, Some(&project("mall")), Some(&environment("uat"))));
        assert!(grant.gives(Right::View, None, None));
        for role in Role::ALL {
            assert_eq!(Role::parse(&role.to_string()), Some(role));
        }
    }
}
