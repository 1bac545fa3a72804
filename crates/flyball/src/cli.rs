//! The command line: what can be written, and where each command is.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use model::rights::Role;
use server::Features;

use crate::exit::Failure;
use crate::{demo, local, reference, remote, rules, store, up};

/// The governor for production.
#[derive(Parser)]
#[command(name = "flyball", version, about, max_term_width = 110, disable_help_subcommand = true, after_help = after_help())]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the server is, for commands that ask it.
#[derive(Args, Clone, Debug)]
pub struct Server {
    /// The server's address; else FLYBALL_SERVER, else that of the data folder here. FLYBALL_CA names a file with its
    /// certificate or authority, where the system doesn't know it
    #[arg(long, global = true, env = "FLYBALL_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// The data folder whose server and token are used where no other are given
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Answer in Chinese (zh) or English (en)
    #[arg(long, global = true, env = "FLYBALL_LANGUAGE", value_name = "LANGUAGE", value_parser = remote::known_language)]
    pub language: Option<String>,
    /// Answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Confirm what would be asked about
    #[arg(long, global = true)]
    pub yes: bool,
}

/// What PromQL may be made of, for whatever reads queries and rules.
#[derive(Args, Clone, Debug)]
pub struct Promql {
    /// Allow what Prometheus has behind flags of the same names: promql-experimental-functions, promql-duration-expr,
    /// promql-extended-range-selectors, promql-binop-fill-modifiers, promql-delayed-name-removal
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = feature, env = "FLYBALL_ENABLE_FEATURE")]
    pub enable_feature: Vec<String>,
}

impl Promql {
    /// The features that were named.
    pub fn features(&self) -> Features {
        Features::of(self.enable_feature.iter().map(String::as_str)).unwrap_or_default()
    }
}

fn feature(name: &str) -> Result<String, String> {
    Features::of([name]).map(|_| name.to_owned()).map_err(|error| error.to_string())
}

#[derive(Subcommand)]
enum Command {
    /// Start the server and an agent for this machine, in one process
    Up(up::UpArgs),
    /// Start the server alone
    Server(up::ServerArgs),
    /// Start an agent that dials out to a server
    Agent(up::AgentArgs),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Set a person's password, read from standard input
    Password {
        /// The person's name in the configuration
        person: String,
        /// The data folder
        #[arg(long, default_value = local::DATA)]
        data: PathBuf,
    },
    /// Print a one-time login link
    Link {
        /// The person
        #[arg(default_value = "admin")]
        person: String,
        /// The data folder
        #[arg(long, default_value = local::DATA)]
        data: PathBuf,
    },
    /// Check a configuration folder
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check rule files and run their unit tests
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Push an artifact
    #[command(subcommand)]
    Artifact(ArtifactCommand),
    /// Evaluate PromQL
    Query {
        /// PromQL
        query: String,
        /// So far back, as a range with one value per step
        #[arg(long, value_name = "30m")]
        back: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Look after the metric store: flush, cardinality, snapshot, restore, delete
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Print a token with which a host's agent enrols
    Enrol {
        /// The host's name
        host: String,
        #[command(flatten)]
        server: Server,
    },
    /// Shut a host out: its link ends, its certificate and tokens are void until it enrols anew
    RevokeHost {
        /// The host's name
        host: String,
        #[command(flatten)]
        server: Server,
    },
    /// Print the newest lines of the audit, or verify its chain
    #[command(args_conflicts_with_subcommands = true)]
    Audit {
        #[command(subcommand)]
        command: Option<AuditCommand>,
        /// So many lines
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        #[command(flatten)]
        server: Server,
    },
    /// Parts of the demo
    #[command(subcommand)]
    Demo(demo::DemoCommand),
    /// Print generated references: openapi, api, config, schema, cli, texts, promql
    #[command(hide = true)]
    Reference {
        /// Which
        what: String,
    },
    /// A verb: check, deploy, ack, ...
    #[command(external_subcommand)]
    Verb(Vec<String>),
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Print a new token, alone; works before the first start and beside a running server
    Create {
        /// Its name
        name: String,
        /// What it may do: viewer, sender, operator, releaser, approver, admin
        #[arg(long, value_parser = role)]
        role: Role,
        /// Only in this project
        #[arg(long)]
        project: Option<String>,
        /// Only in this environment
        #[arg(long)]
        environment: Option<String>,
        /// The data folder
        #[arg(long, default_value = local::DATA)]
        data: PathBuf,
    },
    /// List tokens
    List {
        /// The data folder
        #[arg(long, default_value = local::DATA)]
        data: PathBuf,
    },
    /// Take a token away
    Revoke {
        /// Its name
        name: String,
        /// The data folder
        #[arg(long, default_value = local::DATA)]
        data: PathBuf,
    },
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Walk the whole chain in a data folder, beside a running server or without: 0 it holds, 1 a line is broken
    Verify {
        /// The data folder
        #[arg(long, default_value = local::DATA)]
        data: PathBuf,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say what is wrong in a configuration folder, with its place
    Check {
        /// The folder
        folder: PathBuf,
        #[command(flatten)]
        promql: Promql,
    },
    /// Print the JSON Schema for editors
    Schema,
}

#[derive(Subcommand)]
enum ArtifactCommand {
    /// Push a file and print its digest
    Push {
        /// The file: a tar, a tar.zst, or a program alone
        file: PathBuf,
        /// Its version as people say it; else read from the file's name
        #[arg(long)]
        version: Option<String>,
        #[command(flatten)]
        server: Server,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| {
        let names: Vec<String> = Role::ALL.iter().map(ToString::to_string).collect();
        format!("a role is one of: {}", names.join(", "))
    })
}

/// The verbs, as the one grammar has them.
fn after_help() -> String {
    use model::{Language, Text};
    let mut out = String::from("Verbs, the same in chat, page and here:\n");
    for verb in server::verbs::grammar::VERBS {
        let text = Text { id: verb.text.to_owned(), ..Text::default() };
        out.push_str(&format!("  {:<11}{}\n", verb.verb, text.render(Language::En)));
    }
    out.push_str(
        "\n`flyball VERB --help` says how one is written. Verbs take --server, --data, --json, --yes, --language.\n\
         Exit codes: 0 well, 1 not well, 2 usage, 3 refused, 4 not reachable, 5 failed.",
    );
    out
}

/// Runs what was written.
pub fn run(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        Command::Up(args) => up::up(args),
        Command::Server(args) => up::server(args),
        Command::Agent(args) => up::agent(args),
        Command::Token(TokenCommand::Create { name, role, project, environment, data }) => {
            local::create_token(&data, &name, role, project, environment)
        }
        Command::Token(TokenCommand::List { data }) => local::list_tokens(&data),
        Command::Token(TokenCommand::Revoke { name, data }) => local::revoke_token(&data, &name),
        Command::Password { person, data } => local::set_password(&data, &person),
        Command::Link { person, data } => local::print_link(&data, &person),
        Command::Config(ConfigCommand::Check { folder, promql }) => local::check_config(&folder, &promql.features()),
        Command::Config(ConfigCommand::Schema) => reference::print("schema"),
        Command::Rules(command) => rules::run(command),
        Command::Artifact(ArtifactCommand::Push { file, version, server }) => remote::push(&server, &file, version),
        Command::Query { query, back, server } => remote::query(&server, &query, back.as_deref()),
        Command::Store(command) => store::run(command),
        Command::Enrol { host, server } => remote::enrol(&server, &host),
        Command::RevokeHost { host, server } => remote::revoke_host(&server, &host),
        Command::Audit { command: Some(AuditCommand::Verify { data }), .. } => local::verify_audit(&data),
        Command::Audit { command: None, limit, server } => remote::audit(&server, limit),
        Command::Demo(command) => demo::run(command),
        Command::Reference { what } => reference::print(&what),
        Command::Verb(words) => remote::verb(words),
    }
}
