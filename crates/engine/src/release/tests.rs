//! Plans as people read them.

use expect_test::{Expect, expect};
use model::command::Outcome;
use model::order::Strategy;
use model::{Language, Verb};

use crate::testing::World;

/// The plan of a release of 4.12.0, digests cut.
fn check(world: &mut World, strategy: Strategy, hosts: &[&str], expected: Expect) {
    let number = world.deploy_as("4.12.0", Some(strategy), hosts);
    let text = world.order(&number).plan.text();
    let lines = text.lines().skip(1).map(|line| {
        let words = line.split(' ').map(|word| if word.len() == 64 { &word[..12] } else { word });
        words.collect::<Vec<_>>().join(" ") + "\n"
    });
    expected.assert_eq(&lines.collect::<String>());
}

/// Only which hosts are in which batch.
fn batches(world: &mut World, strategy: Strategy) -> (u32, Vec<Vec<String>>) {
    let number = world.deploy_as("4.12.0", Some(strategy), &[]);
    let plan = &world.order(&number).plan;
    let hosts = |batch: &model::plan::Batch| batch.lanes.iter().map(|lane| lane.host.to_string()).collect();
    (plan.min_in_service, plan.batches.iter().map(hosts).collect())
}

#[test]
fn a_plan_leaves_no_choice() {
    let mut world = World::with_servers(1, 2, Some("4.11.3"));
    check(
        &mut world,
        Strategy::Serial,
        &["shop-1"],
        expect![[r#"
        project web service shop environment prod
        never fewer than 1 in service
        batch 1
          host shop-1 before 4.11.3 342e31312e33
              0 fetch shop sha256 342e31322e30 of 3145728 bytes within 33000 ms
              1 unpack shop "4.12.0" 342e31322e30 within 33000 ms
              2 balancer-out front "shop" "shop-1" within 10000 ms
                undo balancer-in front "shop" "shop-1" within 30000 ms
              3 drain front "shop" "shop-1" at most 10000 ms within 15000 ms
              4 stop shop within 30000 ms
                undo start shop within 30000 ms
                undo verify shop at "http://127.0.0.11:8080/version" shows "4.11.3" within 30000 ms
              5 switch shop to "4.12.0" 342e31322e30 within 30000 ms
                undo switch shop to "4.11.3" 342e31312e33 within 30000 ms
              6 start shop within 30000 ms
                undo stop shop within 30000 ms
              7 verify shop at "http://127.0.0.11:8080/version" shows "4.12.0" within 30000 ms
              8 balancer-in front "shop" "shop-1" within 30000 ms
                undo balancer-out front "shop" "shop-1" within 10000 ms
                undo drain front "shop" "shop-1" at most 10000 ms within 15000 ms
          gate 20000 ms rules [] judge
    "#]],
    );
}

#[test]
fn the_first_release_ever_leaves_nothing_running_when_taken_back() {
    let mut world = World::with_servers(1, 1, None);
    check(
        &mut world,
        Strategy::Serial,
        &[],
        expect![[r#"
        project web service shop environment prod
        never fewer than 0 in service
        batch 1
          host shop-1 before nothing
              0 fetch shop sha256 342e31322e30 of 3145728 bytes within 33000 ms
              1 unpack shop "4.12.0" 342e31322e30 within 33000 ms
              2 balancer-out front "shop" "shop-1" within 10000 ms
              3 drain front "shop" "shop-1" at most 10000 ms within 15000 ms
              4 stop shop within 30000 ms
              5 switch shop to "4.12.0" 342e31322e30 within 30000 ms
                undo switch shop to nothing within 30000 ms
              6 start shop within 30000 ms
                undo stop shop within 30000 ms
              7 verify shop at "http://127.0.0.11:8080/version" shows "4.12.0" within 30000 ms
              8 balancer-in front "shop" "shop-1" within 30000 ms
                undo balancer-out front "shop" "shop-1" within 10000 ms
                undo drain front "shop" "shop-1" at most 10000 ms within 15000 ms
          gate 20000 ms rules [] judge
    "#]],
    );
}

#[test]
fn without_a_balancer_there_are_no_balancer_steps() {
    let mut world = World::with_servers(1, 1, Some("4.11.3"));
    world.configure(|config| {
        for service in config.projects.values_mut().flat_map(|project| project.services.values_mut()) {
            service.environments.values_mut().for_each(|place| place.balancer = None);
        }
    });
    check(
        &mut world,
        Strategy::Serial,
        &[],
        expect![[r#"
        project web service shop environment prod
        never fewer than 0 in service
        batch 1
          host shop-1 before 4.11.3 342e31312e33
              0 fetch shop sha256 342e31322e30 of 3145728 bytes within 33000 ms
              1 unpack shop "4.12.0" 342e31322e30 within 33000 ms
              2 stop shop within 30000 ms
                undo start shop within 30000 ms
                undo verify shop at "http://127.0.0.11:8080/version" shows "4.11.3" within 30000 ms
              3 switch shop to "4.12.0" 342e31322e30 within 30000 ms
                undo switch shop to "4.11.3" 342e31312e33 within 30000 ms
              4 start shop within 30000 ms
                undo stop shop within 30000 ms
              5 verify shop at "http://127.0.0.11:8080/version" shows "4.12.0" within 30000 ms
          gate 20000 ms rules []
    "#]],
    );
}

#[test]
fn servers_take_turns_by_strategy() {
    let named = |hosts: &[&[u32]]| -> Vec<Vec<String>> {
        hosts.iter().map(|batch| batch.iter().map(|place| format!("shop-{place}")).collect()).collect()
    };
    let turns = |strategy, servers| batches(&mut World::with_servers(1, servers, Some("4.11.3")), strategy);
    assert_eq!(turns(Strategy::Serial, 3), (2, named(&[&[1], &[2], &[3]])));
    assert_eq!(turns(Strategy::Parallel(2), 4), (2, named(&[&[1], &[2, 3], &[4]])));
    assert_eq!(turns(Strategy::Parallel(0), 2), (1, named(&[&[1], &[2]])));
    assert_eq!(turns(Strategy::Parallel(100), 4), (1, named(&[&[1], &[2, 3, 4]])));
    assert_eq!(turns(Strategy::Halves, 5), (2, named(&[&[1, 2, 3], &[4, 5]])));
    assert_eq!(turns(Strategy::Halves, 1), (0, named(&[&[1]])));
}

fn with_min(servers: usize, min: u32, version: Option<&str>) -> World {
    let mut world = World::with_servers(1, servers, version);
    world.configure(|config| {
        for service in config.projects.values_mut().flat_map(|project| project.services.values_mut()) {
            service.release.min_in_service = Some(min);
        }
    });
    world
}

#[test]
fn a_batch_is_never_wider_than_what_may_be_out() {
    let (min, plan) = batches(&mut with_min(6, 4, Some("4.11.3")), Strategy::Halves);
    assert_eq!((min, plan.iter().map(Vec::len).collect::<Vec<_>>()), (4, vec![2, 1, 2, 1]));
    let refused = with_min(2, 2, Some("4.11.3")).try_deploy("4.12.0", None, &[]);
    let Some(Outcome::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.text.render(Language::En), "2 of 2 servers must stay in service: none can be taken out");
    let (min, _) = batches(&mut with_min(2, 2, None), Strategy::Halves);
    assert_eq!(min, 0, "nothing is in service before the first release ever");
}

#[test]
fn hosts_that_have_it_need_no_steps() {
    let mut world = World::with_seed(1);
    let first = world.deploy_as("4.12.0", None, &["shop-2"]);
    world.run_to_end(&first);
    let second = world.deploy("4.12.0");
    let plan = world.order(&second).plan.text();
    assert_eq!(plan.matches("host shop-2 before 4.12.0").count(), 1, "{plan}");
    assert_eq!(world.order(&second).plan.steps().filter(|(host, _)| host.as_str() == "shop-2").count(), 0, "{plan}");
    world.run_to_end(&second);
    assert!(world.story(&second).iter().any(|line| line.ends_with("shop-2: shop-2 has 4.12.0 already: no steps")));
    let Some(Outcome::Refused(refusal)) = world.try_deploy("4.12.0", None, &[]) else { panic!("made again") };
    assert_eq!(refusal.text.render(Language::En), "4.12.0 is on line on every server of shop in prod");
}

#[test]
fn what_does_not_exist_is_refused_with_the_nearest_name() {
    let mut world = World::with_seed(1);
    let said = |outcome: Option<Outcome>| match outcome {
        Some(Outcome::Refused(refusal)) => refusal.text.render(Language::En),
        other => panic!("{other:?}"),
    };
    assert_eq!(said(world.try_deploy("4.12.0", None, &["shop-9"])), "No host is called shop-9. Nearest: shop-1");
    let verb = |service: &str, environment: &str| {
        serde_json::from_value::<Verb>(serde_json::json!({
            "verb": "restart", "project": "web", "service": service, "environment": environment }))
        .expect("a verb")
    };
    assert_eq!(said(world.ask("Lin.Mei", verb("shpo", "prod"))), "No service is called shpo. Nearest: shop");
    assert_eq!(said(world.ask("Lin.Mei", verb("shop", "prd"))), "No environment is called prd. Nearest: prod");
}
