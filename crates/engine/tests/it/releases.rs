//! Releases as stories: time is given, things happen, somebody is told.

use std::time::Duration;

use engine::judge::Judge;
use engine::testing::{Random, World};
use model::config::{ApprovalRule, IfBad};
use model::order::{HostState, JudgeEvidence, JudgeVerdict, OrderState, Strategy};
use model::signal::{Judged, ServiceState};
use model::{AlertState, Event, HostName, Language, OrderNumber, Outcome, PlanDigest, Time, Verb};

fn accepted(outcome: Option<Outcome>) -> String {
    match outcome {
        Some(Outcome::Accepted { text, .. }) => text.render(Language::En),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(outcome: Option<Outcome>) -> String {
    match outcome {
        Some(Outcome::Refused(refusal)) => refusal.text.render(Language::En),
        other => panic!("not refused: {other:?}"),
    }
}

fn if_bad(world: &mut World, does: IfBad) {
    world.configure(|config| {
        for service in config.projects.values_mut().flat_map(|project| project.services.values_mut()) {
            service.release.if_bad = does;
        }
    });
}

fn worse(order: &OrderNumber) -> Event {
    let evidence = JudgeEvidence { new_bad: 209, new_all: 4_680, old_bad: 3, old_all: 14_020, e_value: 5e9 };
    Event::Judged(Judged { order: order.clone(), verdict: JudgeVerdict::Worse, evidence })
}

#[test]
fn a_bad_release_takes_itself_back_and_says_so() {
    let mut world = World::with_seed(7);
    let order = world.at("10:15:00").deploy("4.12.0");
    world.at("10:15:10");
    assert_eq!(world.versions(), ["4.12.0", "4.11.3", "4.11.3", "4.11.3"]);
    world.submit(worse(&order));
    assert_eq!(world.order(&order).state, OrderState::RollingBack);
    world.at("10:15:15");
    assert_eq!(world.order(&order).state, OrderState::RolledBack);
    assert_eq!(world.versions(), ["4.11.3"; 4]);
    assert_eq!(world.balancer.in_service(), 4);
    let said = world.said().join("\n");
    assert!(said.contains("Halted shop 4.12.0: new gave 209 bad answers of 4,680 (4.5 %), old 3 of 14,020 (0.0 %)"), "{said}");
    assert!(said.contains("shop is back on 4.11.3: 1 servers, "), "{said}");
    let incident = world.state.incidents.values().next().expect("an incident");
    assert_eq!(incident.suspects.first().and_then(|suspect| suspect.change.order.clone()), Some(order));
}

#[test]
fn a_good_release_rolls_batch_by_batch() {
    let mut world = World::with_seed(1);
    let order = world.at("10:15:00").deploy("4.12.0");
    world.at("10:15:15");
    assert_eq!(world.order(&order).batch, 0, "the first batch is watched for 20 s");
    assert!(world.order(&order).watching_since.is_some());
    assert_eq!(world.run_to_end(&order), OrderState::Done);
    assert_eq!(world.versions(), ["4.12.0"; 4]);
    assert!(world.order(&order).hosts.values().all(|host| host.state == HostState::New));
    assert!(world.said().contains(&"shop 4.12.0 is on line on 4 servers".to_owned()), "{:?}", world.said());
    assert!(world.state.changes.iter().any(|seen| seen.change.order.as_ref() == Some(&order)));
}

#[test]
fn a_rule_that_turns_bad_halts_it_and_another_service_does_not() {
    let mut world = World::with_seed(2);
    let order = world.deploy("4.12.0");
    world.wait(Duration::from_secs(8));
    world.alert("shop_errors", AlertState::Bad, 0.31);
    assert_eq!(world.run_to_end(&order), OrderState::RolledBack);
    let because = world.order(&order).because.as_ref().map(|because| because.render(Language::En));
    assert!(because.as_ref().is_some_and(|text| text.starts_with("rule shop_errors is bad: 0.31")), "{because:?}");
}

#[test]
fn an_alert_that_was_bad_before_does_not_stop_the_cure() {
    let mut world = World::with_seed(3);
    world.alert("shop_errors", AlertState::Bad, 0.31);
    let order = world.deploy("4.12.0");
    world.kill_server(world.now + Duration::from_secs(5), Duration::from_secs(1));
    assert_eq!(world.run_to_end(&order), OrderState::Done);
}

#[test]
fn where_a_person_decides_it_waits() {
    let mut world = World::with_seed(4);
    if_bad(&mut world, IfBad::Halt);
    let order = world.deploy("4.12.0");
    world.wait(Duration::from_secs(8));
    world.submit(worse(&order));
    world.wait(Duration::from_secs(300));
    assert_eq!(world.order(&order).state, OrderState::Halted);
    accepted(world.ask("Lin.Mei", Verb::Rollback { order: order.clone() }));
    assert_eq!(world.run_to_end(&order), OrderState::RolledBack);
}

#[test]
fn a_person_halts_resumes_brakes_and_takes_back() {
    let mut world = World::with_seed(5);
    let order = world.deploy_as("4.12.0", Some(Strategy::Serial), &[]);
    world.wait(Duration::from_secs(1));
    accepted(world.ask("Lin.Mei", Verb::Halt { order: order.clone() }));
    let asked = world.asked.len();
    world.wait(Duration::from_secs(60));
    assert_eq!(world.asked.len(), asked, "nothing new is asked while halted");
    accepted(world.ask("Lin.Mei", Verb::Resume { order: order.clone() }));
    accepted(world.ask("Lin.Mei", Verb::Brake { order: order.clone() }));
    world.wait(Duration::from_secs(60));
    assert_eq!((world.order(&order).state, world.order(&order).batch), (OrderState::Halted, 1));
    accepted(world.ask("Lin.Mei", Verb::Resume { order: order.clone() }));
    assert_eq!(world.run_to_end(&order), OrderState::Done);
    accepted(world.ask("Lin.Mei", Verb::Rollback { order: order.clone() }));
    assert_eq!(world.order(&order).state, OrderState::RollingBack);
    assert_eq!(world.run_to_end(&order), OrderState::RolledBack);
    assert_eq!((world.versions(), world.balancer.in_service()), (vec!["4.11.3"; 4], 4));
    let again = refused(world.ask("Lin.Mei", Verb::Rollback { order: order.clone() }));
    assert_eq!(again, format!("Order {order} has ended: rolled back"));
}

#[test]
fn only_the_last_release_can_be_taken_back() {
    let mut world = World::with_seed(6);
    let first = world.deploy("4.12.0");
    world.run_to_end(&first);
    let second = world.deploy("4.12.1");
    let early = refused(world.ask("Lin.Mei", Verb::Rollback { order: first.clone() }));
    assert_eq!(early, format!("Order {second} came after {first} there: roll that one back"));
    world.run_to_end(&second);
    accepted(world.ask("Lin.Mei", Verb::Rollback { order: second.clone() }));
    world.run_to_end(&second);
    assert_eq!(world.versions(), ["4.12.0"; 4]);
    accepted(world.ask("Lin.Mei", Verb::Rollback { order: first.clone() }));
    world.run_to_end(&first);
    assert_eq!(world.versions(), ["4.11.3"; 4]);
}

#[test]
fn approval_is_for_this_plan_and_by_somebody_else() {
    let mut world = World::with_seed(8);
    world.configure(|config| config.environments.values_mut().for_each(|prod| prod.approval = ApprovalRule::AnotherPerson));
    let order = world.deploy("4.12.0");
    world.wait(Duration::from_secs(60));
    assert_eq!(world.order(&order).state, OrderState::Draft);
    let digest = world.order(&order).digest.clone();
    let approve = |digest: &PlanDigest| Verb::Approve { order: order.clone(), digest: digest.clone() };
    assert_eq!(refused(world.ask("Zhao.Wei", approve(&digest))), "Needs approval by someone other than Zhao.Wei");
    let short = digest.short();
    assert_eq!(
        refused(world.ask("Lin.Mei", approve(&PlanDigest::from("0".repeat(64))))),
        format!("The plan changed: the digest is {short} now")
    );
    accepted(world.ask("Lin.Mei", approve(&digest)));
    assert_eq!(world.run_to_end(&order), OrderState::Done);
    assert_eq!(refused(world.ask("Lin.Mei", approve(&digest))), format!("Order {order} has ended: done"));
}

#[test]
fn an_approval_is_void_when_the_hosts_changed_while_it_waited() {
    let mut world = World::with_seed(9);
    let first = world.deploy("4.12.0");
    world.configure(|config| config.environments.values_mut().for_each(|prod| prod.approval = ApprovalRule::AnotherPerson));
    let second = world.deploy("4.13.0");
    let digest = world.order(&second).digest.clone();
    let said = accepted(world.ask("Lin.Mei", Verb::Approve { order: second.clone(), digest: digest.clone() }));
    assert_eq!(said, format!("{second} waits until order {first} has ended"));
    world.run_to_end(&first);
    assert_eq!(world.order(&second).state, OrderState::Draft, "it was planned from 4.11.3");
    assert_ne!(world.order(&second).digest, digest);
    assert!(world.order(&second).approvals.is_empty());
    let digest = world.order(&second).digest.clone();
    accepted(world.ask("Lin.Mei", Verb::Approve { order: second.clone(), digest }));
    assert_eq!(world.run_to_end(&second), OrderState::Done);
}

#[test]
fn orders_wait_for_each_other_in_the_order_of_approval() {
    let mut world = World::with_seed(10);
    let first = world.deploy("4.12.0");
    let second = world.deploy("4.12.1");
    let third = world.deploy("4.12.2");
    assert_eq!(world.order(&second).behind.as_ref(), Some(&first));
    assert_eq!(world.order(&third).behind.as_ref(), Some(&second), "each waits for the one before it");
    accepted(world.ask("Lin.Mei", Verb::Halt { order: first.clone() }));
    world.wait(Duration::from_secs(120));
    assert_eq!(world.order(&second).state, OrderState::Approved, "a halted order is in the way");
    accepted(world.ask("Lin.Mei", Verb::Cancel { order: second.clone() }));
    accepted(world.ask("Lin.Mei", Verb::Resume { order: first.clone() }));
    world.run_to_end(&first);
    assert_eq!(world.run_to_end(&third), OrderState::Done);
    assert_eq!(world.versions(), ["4.12.2"; 4]);
    assert_eq!(world.order(&second).state, OrderState::Cancelled);
}

#[test]
fn a_restart_goes_host_by_host_and_has_nothing_to_take_back() {
    let mut world = World::with_seed(11);
    let verb: Verb = serde_json::from_value(serde_json::json!({
        "verb": "restart", "project": "web", "service": "shop", "environment": "prod" }))
    .expect("a verb");
    let Some(Outcome::Accepted { order: Some(order), .. }) = world.ask("Lin.Mei", verb) else { panic!("no order") };
    assert_eq!(world.run_to_end(&order), OrderState::Done);
    assert!(world.agents.values().all(|agent| agent.effects.values().sum::<u32>() == 1));
    let said = refused(world.ask("Lin.Mei", Verb::Rollback { order: order.clone() }));
    assert_eq!(said, format!("Order {order} restarted what was there: there is nothing to take back"));
}

#[test]
fn a_restart_that_breaks_off_brings_the_server_back() {
    let mut world = World::with_seed(12);
    let verb: Verb = serde_json::from_value(serde_json::json!({
        "verb": "restart", "project": "web", "service": "shop", "environment": "prod" }))
    .expect("a verb");
    let Some(Outcome::Accepted { order: Some(order), .. }) = world.ask("Lin.Mei", verb) else { panic!("no order") };
    world.run_until_asked("restart");
    world.submit(worse(&order));
    assert_eq!(world.order(&order).state, OrderState::Running, "a restart has no new release to judge");
    world.alert("shop_errors", AlertState::Bad, 0.31);
    assert_eq!(world.run_to_end(&order), OrderState::RolledBack);
    assert_eq!(world.balancer.in_service(), 4);
}

#[test]
fn a_failed_step_can_be_asked_again_by_a_person() {
    let mut world = World::with_seed(13);
    if_bad(&mut world, IfBad::Halt);
    let order = world.deploy("4.12.0");
    let host = world.run_until_asked("fetch");
    world.agents.get_mut(&host).expect("an agent").fails.insert("start".into(), "no memory".into());
    world.wait(Duration::from_secs(60));
    assert_eq!(world.order(&order).state, OrderState::Halted);
    let said = refused(world.ask("Lin.Mei", Verb::Resume { order: order.clone() }));
    assert_eq!(said, format!("A step of {order} failed: retry it, or roll back"));
    world.agents.get_mut(&host).expect("an agent").fails.clear();
    accepted(world.ask("Lin.Mei", Verb::Retry { order: order.clone() }));
    assert_eq!(world.run_to_end(&order), OrderState::Done);
}

#[test]
fn a_wrong_digest_fails_before_anything_is_touched() {
    let mut world = World::with_seed(14);
    let order = world.deploy("4.12.0");
    let host = world.run_until_asked("fetch");
    world.agents.get_mut(&host).expect("an agent").fails.insert("fetch".into(), "sha256 differs".into());
    assert_eq!(world.run_to_end(&order), OrderState::RolledBack);
    assert!(world.asked.iter().all(|request| request.action.word() == "fetch"), "nothing but the fetch was asked");
    assert_eq!(
        world.order(&order).because.as_ref().map(|because| because.render(Language::En)),
        Some(format!("{host} failed at fetch: sha256 differs"))
    );
}

#[test]
fn a_rollback_that_fails_stops_after_three_tries_and_names_the_hosts() {
    let mut world = World::with_seed(15);
    let order = world.deploy("4.12.0");
    let host = world.run_until_asked("fetch");
    world.agents.get_mut(&host).expect("an agent").fails.insert("undo switch".into(), "disk full".into());
    world.wait(Duration::from_secs(10));
    world.submit(worse(&order));
    assert_eq!(world.run_to_end(&order), OrderState::Failed);
    let tries = world.asked.iter().filter(|request| request.undo && request.action.word() == "switch").count();
    assert_eq!(tries, 3);
    assert_eq!(world.order(&order).hosts[&host].state, HostState::Stuck);
    let said = world.said().join("\n");
    assert!(said.contains(&format!("Hosts left as they are: {host}")), "{said}");
}

#[test]
fn a_balancer_that_is_gone_halts_it_until_it_is_back() {
    let mut world = World::with_seed(16);
    let order = world.deploy("4.12.0");
    world.break_balancer(world.now, Duration::from_secs(90));
    world.wait(Duration::from_secs(60));
    assert_eq!(world.order(&order).state, OrderState::Halted);
    assert!(world.said().iter().any(|said| said.contains("load balancer front does not answer")), "{:?}", world.said());
    assert_eq!(world.run_to_end(&order), OrderState::Done);
    let shown = world.story(&order).join("\n");
    assert!(shown.contains("Everything answers again: goes on by itself"), "{shown}");
}

#[test]
fn a_command_asked_twice_is_done_once() {
    let mut world = World::with_seed(17);
    let order = world.deploy("4.12.0");
    let halt = model::Command {
        id: "the-same".into(),
        by: model::Actor { name: "Lin.Mei".into(), via: model::Surface::Page },
        verb: Verb::Halt { order: order.clone() },
    };
    world.submit(Event::Command(halt.clone()));
    let first = world.answers.remove(&halt.id);
    accepted(world.ask("Lin.Mei", Verb::Resume { order: order.clone() }));
    world.submit(Event::Command(halt.clone()));
    assert_eq!(world.answers.remove(&halt.id), first, "the same answer");
    assert_eq!(world.order(&order).state, OrderState::Running, "and nothing else");
}

/// A release with traffic: 500 requests/s over four servers, the balancer read every 200 ms. Says how long the first bad
/// answer of the new version came before the halt, if it was halted.
fn released_under_traffic(seed: u64, new: f64, old: f64) -> Option<Duration> {
    let mut world = World::with_seed(seed);
    let mut random = Random::new(seed);
    let order = world.deploy("4.12.0");
    let (mut judge, mut first_bad) = (Judge::new(1_000), None);
    while matches!(world.order(&order).state, OrderState::Running) {
        world.wait(Duration::from_millis(200));
        let serves = |version: &str| {
            let is_in = |host: &str| world.balancer.servers[host];
            let runs =
                |agent: &engine::testing::SimulatedAgent| agent.running.as_ref().is_some_and(|runs| runs.version == version);
            world.agents.iter().filter(|(host, agent)| is_in(host.as_str()) && runs(agent)).count() as u64
        };
        let (of_new, of_old) = (serves("4.12.0"), serves("4.11.3"));
        if of_new == 0 {
            continue;
        }
        let share = 100 / (of_new + of_old);
        let (new_all, old_all) = (share * of_new, share * of_old);
        let new_bad = random.successes(new_all, new);
        first_bad = first_bad.or((new_bad > 0).then_some(world.now));
        if let Some(said) = judge.observe(new_bad, new_all, random.successes(old_all, old), old_all) {
            world.submit(Event::Judged(Judged { order: order.clone(), verdict: said.verdict, evidence: said.evidence }));
            let halted_at = world.order(&order).halted_at.expect("halted at once");
            assert_eq!(world.run_to_end(&order), OrderState::RolledBack, "seed {seed}");
            let back = world.order(&order).ended_at.expect("an end").since(halted_at);
            assert!(back <= Duration::from_secs(5), "{back:?} from the halt to the old version, seed {seed}");
            return first_bad.map(|first| halted_at.since(first));
        }
    }
    None
}

#[test]
fn f37_a_bad_release_is_halted_within_a_batch_and_a_good_one_is_not() {
    let mut took: Vec<Duration> =
        (0..40).map(|seed| released_under_traffic(seed, 0.10, 0.0).expect("10 % bad answers are seen")).collect();
    took.sort_unstable();
    assert!(took[20] <= Duration::from_millis(1_500) && took[39] <= Duration::from_secs(3), "{took:?}");
    let halted = (0..100).filter(|seed| released_under_traffic(*seed, 0.001, 0.001).is_some()).count();
    assert!(halted <= 1, "{halted} of 100 good releases");
}

#[test]
fn a_server_that_crashed_keeps_the_others_in() {
    let mut world = World::with_seed(18);
    let order = world.deploy_as("4.12.0", Some(Strategy::Serial), &["shop-1"]);
    let mut seen = world.state.services.values().find(|seen| seen.host.as_str() == "shop-4").expect("shop-4").clone();
    seen.state = ServiceState::Crashed;
    world.submit(Event::ServiceSeen(seen.clone()));
    world.wait(Duration::from_secs(30));
    assert!(world.balancer.servers["shop-1"], "three are in service, and three are promised");
    let story = world.story(&order).join("\n");
    assert_eq!(story.matches("shop-1 waits: 3 servers must stay in service").count(), 1, "{story}");
    accepted(world.ask("Lin.Mei", Verb::Halt { order: order.clone() }));
    world.wait(Duration::from_secs(30));
    accepted(world.ask("Lin.Mei", Verb::Resume { order: order.clone() }));
    seen.state = ServiceState::Running;
    world.submit(Event::ServiceSeen(seen));
    assert_eq!(world.run_to_end(&order), OrderState::Done);
}

#[test]
fn a_gate_closes_only_while_the_judge_gets_figures() {
    let mut world = World::with_seed(21);
    let order = world.at("10:15:00").deploy("4.12.0");
    while world.order(&order).watching_since.is_none() {
        world.wait(Duration::from_millis(100));
    }
    let began = world.order(&order).watching_since.expect("a watch");
    world.break_balancer(began + Duration::from_secs(1), Duration::from_secs(300));
    world.run_until(began + Duration::from_secs(240));
    let said = world.order(&order).because.as_ref().map(|because| because.render(Language::En));
    assert_eq!((world.order(&order).state, world.order(&order).batch), (OrderState::Halted, 0));
    assert_eq!(said.as_deref(), Some("load balancer front does not answer"));
    assert!(!world.story(&order).join("\n").contains("well after"), "{:#?}", world.story(&order));
    assert_eq!(world.versions(), ["4.12.0", "4.11.3", "4.11.3", "4.11.3"], "nobody else was touched");
    // A person cannot let it go on blind: it watches anew, sees nothing, and halts again.
    accepted(world.ask("Lin.Mei", Verb::Resume { order: order.clone() }));
    world.run_until(began + Duration::from_secs(300));
    assert_eq!((world.order(&order).state, world.order(&order).batch), (OrderState::Halted, 0));
    // Figures come again, though nobody asks anything of the shop: the whole watch begins anew.
    world.run_until(began + Duration::from_secs(315));
    assert_eq!((world.order(&order).state, world.order(&order).batch), (OrderState::Running, 0));
    assert_eq!(world.run_to_end(&order), OrderState::Done);
}

#[test]
fn a_short_silence_of_the_balancer_only_keeps_the_gate_open() {
    let mut world = World::with_seed(22);
    let order = world.at("10:15:00").deploy("4.12.0");
    while world.order(&order).watching_since.is_none() {
        world.wait(Duration::from_millis(100));
    }
    let end = world.order(&order).watching_since.expect("a watch") + Duration::from_secs(20);
    // It is read every two seconds from the full minute on: the last reading before the end is missed.
    let last = Time(end.0 - end.0 % 2_000_000);
    world.break_balancer(Time(last.0 - 500_000), Duration::from_secs(1));
    world.run_until(end + Duration::from_millis(10));
    assert_eq!((world.order(&order).state, world.order(&order).batch), (OrderState::Running, 0), "figures are too old");
    world.run_until(last + Duration::from_millis(2_010));
    assert_eq!((world.order(&order).state, world.order(&order).batch), (OrderState::Running, 1), "closes on the reading itself");
    assert_eq!(world.run_to_end(&order), OrderState::Done);
    assert!(!world.story(&order).join("\n").contains("does not answer"));
}

#[test]
fn without_a_judge_no_figures_are_needed() {
    let mut world = World::with_seed(23);
    let order = world.deploy("4.12.0");
    world.run_until_asked("balancer_in");
    world.wait(Duration::from_secs(2));
    world.configure(|config| {
        for service in config.projects.values_mut().flat_map(|project| project.services.values_mut()) {
            service.release.judge = false;
        }
    });
    world.break_balancer(world.now, Duration::from_secs(21));
    world.wait(Duration::from_secs(20));
    assert_eq!(world.order(&order).batch, 1, "nobody reads figures that nobody asked for");
    assert_eq!(world.run_to_end(&order), OrderState::Done);
}

#[test]
fn a_first_release_without_any_traffic_goes_through() {
    let mut world = World::with_servers(24, 4, None);
    let order = world.deploy("4.12.0");
    assert_eq!(world.run_to_end(&order), OrderState::Done);
    assert!(world.order(&order).judge.as_ref().is_some_and(|judge| judge.evidence.new_all == 0));
    assert!(!world.story(&order).join("\n").contains("does not answer"));
}

#[test]
fn a_crashed_server_is_taken_back_though_too_few_others_are_in() {
    let mut world = World::with_seed(25);
    let order = world.deploy_as("4.12.0", Some(Strategy::Serial), &[]);
    while world.order(&order).batch == 0 {
        world.wait(Duration::from_millis(100));
    }
    world
        .agents
        .get_mut(&HostName::new("shop-2").expect("a name"))
        .expect("an agent")
        .fails
        .insert("undo switch".into(), "disk full".into());
    while world.agents.values().filter(|agent| agent.running.as_ref().is_some_and(|on| on.version == "4.12.0")).count() < 2 {
        world.wait(Duration::from_millis(10));
    }
    // The new version dies on the first server while the second one is out, and the second one can't be taken back.
    world.crash_service("shop-1");
    world.submit(worse(&order));
    assert_eq!(world.run_to_end(&order), OrderState::Failed);
    assert_eq!(world.order(&order).hosts[&HostName::new("shop-2").expect("a name")].state, HostState::Stuck);
    assert_eq!(world.order(&order).hosts[&HostName::new("shop-1").expect("a name")].state, HostState::Old);
    assert_eq!(world.versions()[0], "4.11.3");
}

#[test]
fn a_gate_that_nobody_watched_watches_anew() {
    let mut world = World::with_seed(20);
    let order = world.at("10:15:00").deploy("4.12.0");
    world.kill_server(world.now + Duration::from_secs(10), Duration::from_secs(300));
    world.at("10:20:25");
    assert_eq!(world.order(&order).batch, 0, "for 300 s nobody watched");
    assert!(world.story(&order).iter().any(|line| line.contains("flyball restarted and is going on with step 10 of 36")));
    world.at("10:20:40");
    assert_eq!(world.order(&order).batch, 1);
}

#[test]
fn numbers_are_made_of_the_time_and_are_never_the_same() {
    let mut world = World::with_seed(19);
    let order = world.at("10:15:00").deploy("4.12.0");
    assert!(order.as_str().starts_with("20261122-101500-"), "{order}");
    let made: std::collections::BTreeSet<OrderNumber> = (0..60).map(|place| world.deploy(&format!("6.{place}"))).collect();
    assert_eq!(made.len(), 60);
    assert!(made.iter().all(|number| number.tail().len() == 2 && !number.tail().contains(['0', 'O', '1', 'I', 'L'])));
}
