//! F-31: an agent that is killed with -9 at random points leaves the old release or the new one, never half, and one process.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::plan::{Action, StepOutcome};

use crate::fake::{Server, processes, shop, sweep};

const DIR: &str = "FLYBALL_TEST_AGENT_DIR";
/// Each round kills once; a round takes about half a second.
const ROUNDS: u32 = 25;

/// Not a test of its own: the agent's process of the test below, which starts this binary with a folder to use.
#[test]
fn agent_process() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(agent::run(agent::Options::new(dir), std::future::pending())).unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(server: &Server) -> Killed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kill::agent_process", "--nocapture"]).env(DIR, server.dir());
    Killed(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_is_old_or_new_and_runs_once() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["{release}/shop", "600"]));
    let first = server.agent();
    server.connected(1).await;
    let sleep = std::fs::read("/bin/sleep").unwrap();
    let mut current = server.bring("first", &sleep, "1").await;
    server.done("first/switch", Action::Switch { service: shop(), to: Some(current.clone()) }).await;
    server.done("first/start", Action::Start { service: shop() }).await;
    first.end().await.unwrap();

    let mut seed: u64 = 7;
    for round in 0..ROUNDS {
        let hellos = server.told(|told| told.hellos.len());
        let agent = start(&server);
        server.connected(hellos + 1).await;
        // A program of its own for each round: what follows the end of an ELF file is not looked at.
        let (next, size) = server.push(&[&sleep[..], &round.to_le_bytes()].concat(), &format!("r{round}"));
        let steps = [
            Action::Fetch { service: shop(), digest: next.digest.clone(), size },
            Action::Unpack { service: shop(), release: next.clone() },
            Action::Stop { service: shop() },
            Action::Switch { service: shop(), to: Some(next.clone()) },
            Action::Start { service: shop() },
        ];
        let keys: Vec<String> = (0..steps.len()).map(|step| format!("{round}/{step}")).collect();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let kill_at = Instant::now() + Duration::from_micros((seed >> 33) % 400_000);
        let rolling = async {
            for (key, action) in keys.iter().zip(&steps) {
                server.ask(key, action.clone()).await;
            }
        };
        let _ = tokio::time::timeout_at(kill_at.into(), rolling).await;
        tokio::time::sleep_until(kill_at.into()).await;
        drop(agent);

        let link = std::fs::read_link(server.dir().join("services/shop/current")).unwrap();
        let digest = if link.to_string_lossy().ends_with(&format!("-r{round}")) { &next.digest } else { &current.digest };
        let program = std::fs::read(server.dir().join("services/shop").join(&link).join("shop")).unwrap();
        use sha2::Digest;
        assert_eq!(hex::encode(sha2::Sha256::digest(&program)), digest.as_str(), "round {round}: half a release");
        assert!(processes(&server.dir()).len() <= 1, "round {round}");

        // The next agent gets the same steps again, under the same keys, and all of them come to an end.
        let hellos = server.told(|told| told.hellos.len());
        let killed_at = Instant::now();
        let agent = start(&server);
        server.connected(hellos + 1).await;
        assert!(killed_at.elapsed() < Duration::from_secs(10), "round {round}");
        for (key, action) in keys.iter().zip(&steps) {
            let outcome = server.ask(key, action.clone()).await;
            assert!(matches!(outcome, StepOutcome::Done { .. }), "round {round} {key}: {outcome:?}");
        }
        assert_eq!(processes(&server.dir()).len(), 1, "round {round}");
        current = next;
        drop(agent);
    }
    sweep(&server.dir());
}
