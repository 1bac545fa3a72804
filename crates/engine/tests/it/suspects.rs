//! Which change is suspected, with reasons that a person can check.

use model::incident::{Incident, Weight};
use model::order::{HostProgress, HostState, JudgeEvidence, JudgeState, JudgeVerdict, Order, OrderKind, OrderState, Strategy};
use model::plan::{PLAN_SCHEMA, Plan};
use model::signal::ReleaseOnHost;
use model::text::Language;
use model::*;

use crate::world::{World, cards, change, notices, time};

const SHOP: [(&str, &str); 2] = [("service", "shop"), ("environment", "prod")];

/// `percent what: + reason, - reason` for each suspect.
fn ranking(incident: &Incident) -> Vec<String> {
    let sign = |weight| match weight {
        Weight::For => "+",
        Weight::Against => "-",
        Weight::Neutral => "0",
    };
    let line = |suspect: &model::incident::Suspect| {
        let reasons: Vec<String> = suspect
            .evidence
            .iter()
            .map(|reason| format!("{} {}", sign(reason.weight), reason.text.render(Language::En)))
            .collect();
        format!("{} {}: {}", suspect.percent, suspect.change.what.render(Language::En), reasons.join(", "))
    };
    incident.suspects.iter().map(line).collect()
}

fn order(world: &World, started: &str) -> Order {
    let service = ServiceName::new("shop").unwrap();
    let (project, environment) = (ProjectName::new("mall").unwrap(), EnvironmentName::new("prod").unwrap());
    let number = OrderNumber::from("20261122-101500-7K");
    let progress = HostProgress { state: HostState::New, step: None, doing: None, asked_at: None, ended_at: None };
    Order {
        number: number.clone(),
        project: project.clone(),
        service: service.clone(),
        environment: environment.clone(),
        release: ReleaseOnHost { version: "4.12.0".into(), digest: ArtifactDigest::from("ab") },
        size: 1,
        kind: OrderKind::Deploy,
        author: "wang".into(),
        reason: String::new(),
        strategy: Strategy::Serial,
        chosen: Vec::new(),
        plan: Plan { schema: PLAN_SCHEMA, order: number, project, service, environment, min_in_service: 1, batches: Vec::new() },
        digest: PlanDigest::from("cd"),
        approvals: Vec::new(),
        state: OrderState::Running,
        behind: None,
        because: None,
        batch: 0,
        watching_since: None,
        brake: false,
        hosts: [(HostName::new("shop-1").unwrap(), progress)].into(),
        judge: None,
        created_at: world.now,
        started_at: Some(time(started)),
        halted_at: None,
        ended_at: None,
        story: Vec::new(),
    }
}

#[test]
fn the_nearer_and_the_later_the_likelier() {
    let mut world = World::new();
    world.at("10:10:00").changes(change("shop settings", ChangeKind::Configuration, "shop", ""));
    world.at("10:14:00").changes(change("kernel", ChangeKind::System, "", "shop-2"));
    world.at("10:14:10").changes(change("index dropped", ChangeKind::Sql, "db", ""));
    world.at("10:14:20").changes(change("new disks", ChangeKind::System, "disk", ""));
    world.at("10:14:30").changes(change("letters", ChangeKind::Release, "mail", ""));
    world.at("10:14:40").changes(change("sales begin", ChangeKind::Outside, "", ""));
    world.at("10:15:00").bad("Errors", &SHOP);
    assert_eq!(
        ranking(world.incident(1)),
        [
            "33 shop settings: + same service, + 5 min 00 s before the onset",
            "29 index dropped: + dependency db, + 50.0 s before the onset",
            "19 kernel: + same host shop-2, + 1 min 00 s before the onset",
            "10 new disks: + dependency disk, + 40.0 s before the onset",
            "2 sales begin: 0 no place named, + 20.0 s before the onset",
        ]
    );
}

#[test]
fn too_old_too_late_and_elsewhere_are_no_suspects() {
    let mut world = World::new();
    world.at("10:10:00").changes(change("old", ChangeKind::Release, "shop", ""));
    world.at("11:11:00").changes(change("elsewhere", ChangeKind::Release, "mail", ""));
    let mut other = change("in uat", ChangeKind::Release, "shop", "");
    other.scope.environment = Some(EnvironmentName::new("uat").unwrap());
    world.at("11:11:30").changes(other);
    world.at("11:12:00").bad("Errors", &SHOP);
    let mut later = change("later", ChangeKind::Release, "shop", "");
    later.at = time("11:12:01");
    world.at("11:12:01").changes(later);
    let ranking = ranking(world.incident(1));
    assert_eq!(ranking.len(), 1, "{ranking:?}");
    assert!(ranking[0].contains("in uat: + same service, - another environment: uat"), "{ranking:?}");
    assert_eq!(world.incident(1).changes_seen, 2);
}

#[test]
fn a_change_that_comes_late_is_weighed_then() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    let mut late = change("package", ChangeKind::System, "", "shop-1");
    late.at = time("10:14:00");
    late.author = Some("wang".into());
    world.at("10:15:40").changes(late);
    let ranking = ranking(world.incident(1));
    assert!(ranking[0].ends_with("0 reported 1 min 40 s after it was made"), "{ranking:?}");
    assert_eq!(world.told(), ["#shop: wang: your change is the first suspect of #1: package"]);
}

#[test]
fn a_release_in_the_middle_is_the_first_and_its_author_is_called() {
    let mut world = World::new();
    world.at("10:14:00").changes(change("kernel", ChangeKind::System, "", "shop-2"));
    let order = order(&world, "10:14:50");
    world.state.orders.insert(order.number.clone(), order);
    world.at("10:15:00").bad("Errors", &SHOP);
    let first = &ranking(world.incident(1))[0];
    assert!(first.contains("Release 20261122-101500-7K: shop - to 4.12.0: + same service"), "{first}");
    assert!(first.ends_with("+ was being rolled out at the onset"), "{first}");
    assert_eq!(world.incident(1).suspects[0].undo, Some(OrderNumber::from("20261122-101500-7K")));
    let calls: Vec<_> = cards(&world.owed).into_iter().filter_map(|card| card.calls).collect();
    assert_eq!(calls, ["wang"]);
    let notice = &notices(&world.owed)[0].1;
    assert_eq!(notice.annotations["suspect_order"], "20261122-101500-7K");
    // Nobody is called twice about one incident.
    world.at("10:15:10").ok("Errors", &SHOP).at("10:15:20").bad("Errors", &SHOP);
    assert!(cards(&world.owed).iter().all(|card| card.calls.is_none()));
}

#[test]
fn figures_and_the_undo_weigh_most() {
    let mut world = World::new();
    let mut order = order(&world, "10:14:00");
    let evidence = JudgeEvidence { new_bad: 31, new_all: 310, old_bad: 1, old_all: 900, e_value: 9e9 };
    order.judge = Some(JudgeState { verdict: JudgeVerdict::Worse, evidence, at: time("10:14:30") });
    let number = order.number.clone();
    world.state.orders.insert(number.clone(), order);
    world.at("10:14:40").changes(change("shop settings", ChangeKind::Configuration, "shop", ""));
    world.at("10:15:00").bad("Errors", &SHOP);
    let judged = world.incident(1).suspects[0].percent;
    assert!(ranking(world.incident(1))[0].contains("+ new 10.0 %, old 0.1 %"), "{:?}", ranking(world.incident(1)));
    let order = world.state.orders.get_mut(&number).unwrap();
    (order.state, order.halted_at, order.ended_at) = (OrderState::RolledBack, Some(time("10:15:05")), Some(time("10:15:09")));
    world.at("10:15:10").ok("Errors", &SHOP);
    assert!(ranking(world.incident(1))[0].ends_with("+ ended with the undo"), "{:?}", ranking(world.incident(1)));
    assert!(world.incident(1).suspects[0].percent > judged && world.incident(1).suspects[0].undo.is_none());
}

#[test]
fn a_halted_release_is_an_incident_that_ends_with_its_undo() {
    let mut world = World::new();
    let order = order(&world, "10:14:50");
    let number = order.number.clone();
    world.state.orders.insert(number.clone(), order);
    world.at("10:15:00").does(Event::Tick);
    let recorded = world.book.last().unwrap().clone();
    let mut owed = Vec::new();
    let because = Text::new("because.person").with("person", "li");
    world.state.orders.get_mut(&number).unwrap().state = OrderState::Halted;
    engine::incident::release_halted(&mut world.state, &recorded, &number, &because, &mut owed);
    let said = crate::world::said(&owed);
    let expected = [
        "pager: Bad release halted",
        "#shop: wang: your release 20261122-101500-7K is the first suspect of #1",
        "#shop: Halted shop 4.12.0: li halted it",
    ];
    assert_eq!(said, expected);
    assert_eq!(cards(&owed).iter().filter(|card| card.calls.is_some()).count(), 1, "called once");
    assert_eq!(world.incident(1).suspects[0].change.order, Some(number.clone()));
    // The halt is told once, though an alert joins.
    world.at("10:15:01").bad("Errors", &SHOP);
    assert_eq!(world.state.incidents.len(), 1);
    world.at("10:15:20").ok("Errors", &SHOP);
    assert_eq!(world.incident(1).recovered_at, None, "not while the release stands halted");
    let order = world.state.orders.get_mut(&number).unwrap();
    (order.state, order.halted_at, order.ended_at) = (OrderState::RolledBack, Some(time("10:15:00")), Some(time("10:15:30")));
    world.at("10:15:30").does(Event::Tick);
    let recorded = world.book.last().unwrap().clone();
    owed.clear();
    engine::incident::release_ended(&mut world.state, &recorded, &number, &mut owed);
    assert_eq!(world.incident(1).recovered_at, Some(time("10:15:30")));
    assert!(ranking(world.incident(1))[0].ends_with("+ ended with the undo"));
    assert!(world.story(1).contains(&"Order 20261122-101500-7K: rolled back".to_owned()));
}

#[test]
fn percent_adds_up_and_the_list_stays_short() {
    let mut world = World::new();
    for place in 0..60 {
        world.at(&format!("10:10:{place:02}")).changes(change(&format!("c{place}"), ChangeKind::Release, "shop", ""));
    }
    world.at("10:15:00").bad("Errors", &SHOP);
    let incident = world.incident(1);
    let sum: u32 = incident.suspects.iter().map(|suspect| u32::from(suspect.percent)).sum();
    assert!(sum <= 100 && incident.suspects.len() == engine::suspect::SUSPECTS_MAX && incident.changes_seen == 60);
    world.at("10:15:01").changes(change("c1", ChangeKind::Release, "shop", ""));
    assert_eq!(world.incident(1).changes_seen, 60, "the same id is the same change");
}
