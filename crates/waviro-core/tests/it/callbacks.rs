//! Callbacks to `notifyurl`: content, order, and the effect of failing endpoints on others.

use std::time::Duration;

use waviro_core::jobs::retry::TABLE;
use waviro_link::fake::FakeConnector;
use waviro_link::{OfflineCause, ReceiptLevel, Status};
use waviro_testing::engine::{Receiver, TestEngine, endpoint, message, until};
use waviro_testing::samples::{OWN, number};

const BUDI: &str = "6281300000001";

/// Takes a message through the acks 1, 2 and 3.
async fn read(gateway: &TestEngine, accepted: &waviro_core::outbox::Accepted) {
    until(|| gateway.ack_of(&accepted.id), |ack| *ack >= 1).await;
    gateway
        .link()
        .receipt(&accepted.id, ReceiptLevel::Delivered)
        .await
        .unwrap();
    gateway
        .link()
        .receipt(&accepted.id, ReceiptLevel::Read)
        .await
        .unwrap();
}

fn owed(gateway: &TestEngine) -> i64 {
    gateway.engine.store.open_delivery_count()
}

#[tokio::test]
async fn each_stage_is_posted_once_in_order_with_exactly_two_fields() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    let accepted = gateway
        .accept_with(BUDI, "halo", &endpoint(address, "a"))
        .await;
    read(&gateway, &accepted).await;
    assert_eq!(receiver.wait_for("a", 3).await, [1, 2, 3]);
    let id = accepted.id.as_str();
    let bodies = [1, 2, 3].map(|ack| format!(r#"{{"msgid":"{id}","ack":{ack}}}"#));
    assert_eq!(receiver.bodies(), bodies);
    assert_eq!(
        receiver.webhook_ids(),
        [1, 2, 3].map(|ack| format!("{id}.{ack}"))
    );
    until(|| async { owed(&gateway) }, |owed| *owed == 0).await;
}

#[tokio::test]
async fn a_failing_endpoint_gets_every_stage_in_order_once_it_is_back() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    receiver.answer("a", &[500, 503, 301]);
    let accepted = gateway
        .accept_with(BUDI, "halo", &endpoint(address, "a"))
        .await;
    receiver.wait_for("a", 1).await;
    read(&gateway, &accepted).await;
    let stages = until(
        || async {
            gateway.pass(Duration::from_secs(5));
            receiver.stages("a")
        },
        |stages| stages.len() >= 6,
    )
    .await;
    assert_eq!(stages, [1, 1, 1, 1, 2, 3]);
}

#[tokio::test]
async fn the_first_retry_comes_after_five_seconds_and_not_before_four() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    receiver.answer("a", &[500]);
    gateway
        .accept_with(BUDI, "halo", &endpoint(address, "a"))
        .await;
    receiver.wait_for("a", 1).await;
    let store = &gateway.engine.store;
    let queues = |now| async move { store.due_queues(now).await.unwrap().len() };
    let now = gateway.clock.now();
    until(|| queues(now + 6_000), |queues| *queues == 1).await;
    assert_eq!(queues(now + 3_999).await, 0);
}

#[tokio::test]
async fn a_dead_endpoint_delays_no_other() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    // This listener never accepts: connections open, but no request is answered.
    let black_hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = endpoint(black_hole.local_addr().unwrap(), "dead");
    for n in 0..60 {
        gateway.accept_with(BUDI, &format!("dead {n}"), &dead).await;
    }
    let started = tokio::time::Instant::now();
    for n in 0..20 {
        gateway
            .accept_with(BUDI, &format!("alive {n}"), &endpoint(address, "a"))
            .await;
    }
    receiver.wait_for("a", 20).await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_bot_whose_path_is_slow_delays_no_other_bot_on_the_same_host() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    let (other, _) = gateway.engine.bots.add("lain").await.unwrap();
    receiver.never_answer("slow");
    for n in 0..60 {
        gateway
            .accept_with(BUDI, &format!("slow {n}"), &endpoint(address, "slow"))
            .await;
    }
    receiver.wait_for("slow", 7).await;
    // The requests time out after 2 s. If the gateway called the endpoints one after the other, the
    // other bot would wait much longer.
    let started = tokio::time::Instant::now();
    let fast = endpoint(address, "a");
    for n in 0..20 {
        let message = message(BUDI, &format!("fast {n}"), Some(fast.clone()));
        gateway.engine.outbox.accept(&other, message).await.unwrap();
    }
    receiver.wait_for("a", 20).await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert!(receiver.stages("slow").len() <= 8);
}

#[tokio::test]
async fn many_dead_endpoints_leave_requests_to_the_others() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    // Connections open, but no request is answered. Each port has its own endpoint queue.
    let holes: Vec<_> = (0..150)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    for (n, hole) in holes.iter().cycle().take(600).enumerate() {
        let dead = endpoint(hole.local_addr().unwrap(), "dead");
        gateway.accept_with(BUDI, &format!("dead {n}"), &dead).await;
    }
    // At first the dead endpoints use all permits. After each timeout (2 s here) a dead endpoint
    // gets fewer permits.
    for n in 0..40 {
        gateway
            .accept_with(BUDI, &format!("alive {n}"), &endpoint(address, "a"))
            .await;
    }
    receiver.wait_for("a", 40).await;
}

#[tokio::test]
async fn gone_ends_the_callbacks_of_that_message_only() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    receiver.answer("a", &[410]);
    let first = gateway
        .accept_with(BUDI, "satu", &endpoint(address, "a"))
        .await;
    receiver.wait_for("a", 1).await;
    until(|| async { owed(&gateway) }, |owed| *owed == 0).await;
    read(&gateway, &first).await;
    gateway
        .accept_with(BUDI, "dua", &endpoint(address, "a"))
        .await;
    assert_eq!(receiver.wait_for("a", 2).await, [1, 1]);
    assert_eq!(gateway.engine.store.given_up(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_table_used_up_is_given_up_visibly() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    receiver.always("a", 500);
    let accepted = gateway
        .accept_with(BUDI, "halo", &endpoint(address, "a"))
        .await;
    for (failed, pause) in (1..).zip(TABLE) {
        until(|| put_off(&gateway), |attempts| *attempts == Some(failed)).await;
        // Passes the pause with its jitter. The clock must not advance during an attempt, because
        // the lease of the attempt would expire.
        gateway.pass(pause.mul_f64(1.21));
    }
    let given_up = until(
        || async { gateway.engine.store.given_up(10).await.unwrap() },
        |given_up| !given_up.is_empty(),
    )
    .await;
    assert_eq!(
        given_up,
        [(accepted.id, "1".to_owned(), "status 500".to_owned())]
    );
    assert_eq!(receiver.stages("a"), [1; 13]);
}

/// Simulates an endpoint that is down for `pauses` pauses of the table and for `more`. After the
/// repair, all callbacks must arrive at once.
async fn every_callback_arrives_after(pauses: usize, more: Duration) {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    receiver.always("a", 500);
    for n in 0..30 {
        gateway
            .accept_with(BUDI, &n.to_string(), &endpoint(address, "a"))
            .await;
    }
    for pause in &TABLE[..pauses] {
        until(|| waiting(&gateway), |waiting| *waiting == 30).await;
        gateway.pass(pause.mul_f64(1.21));
    }
    until(|| waiting(&gateway), |waiting| *waiting == 30).await;
    gateway.pass(more);
    receiver.always("a", 200);
    // The first due attempt discovers that the endpoint works again.
    gateway
        .accept_with(BUDI, "baru", &endpoint(address, "a"))
        .await;
    until(|| async { owed(&gateway) }, |owed| *owed == 0).await;
    assert!(gateway.engine.store.given_up(100).await.unwrap().is_empty());
    assert!(
        gateway
            .engine
            .store
            .endpoint_failures()
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_endpoint_that_is_back_after_hours_gets_all_that_waits_at_once_and_not_hours_later() {
    every_callback_arrives_after(8, Duration::ZERO).await;
}

#[tokio::test]
async fn an_endpoint_that_is_back_after_three_days_gets_all_that_waits_at_once() {
    let passed: Duration = TABLE[..11].iter().map(|pause| pause.mul_f64(1.21)).sum();
    let three_days = Duration::from_hours(72);
    every_callback_arrives_after(11, three_days.checked_sub(passed).unwrap()).await;
}

#[tokio::test]
async fn an_endpoint_that_fails_now_and_then_uses_up_no_more_of_the_table_than_time_does() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    let url = endpoint(address, "a");
    receiver.answer("a", &[500]);
    gateway.accept_with(BUDI, "satu", &url).await;
    until(|| put_off(&gateway), |attempts| *attempts == Some(1)).await;
    for n in 0..5 {
        // The endpoint works for other messages and then fails again.
        receiver.answer("a", &[200, 500]);
        gateway.accept_with(BUDI, &format!("baik {n}"), &url).await;
        until(
            || async { gateway.engine.store.endpoint_failures().await.unwrap() },
            Vec::is_empty,
        )
        .await;
        gateway.accept_with(BUDI, &format!("buruk {n}"), &url).await;
        until(|| waiting(&gateway), |waiting| *waiting == n + 2).await;
    }
    // The clock has not advanced, so no callback was retried.
    assert_eq!(receiver.stages("a").len(), 11);
}

#[tokio::test]
async fn an_endpoint_that_asked_for_a_pause_gets_it_though_it_works_for_others() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    receiver.answer("a", &[429]);
    let first = gateway
        .accept_with(BUDI, "satu", &endpoint(address, "a"))
        .await;
    until(|| put_off(&gateway), |attempts| *attempts == Some(1)).await;
    gateway
        .accept_with(BUDI, "dua", &endpoint(address, "a"))
        .await;
    receiver.wait_for("a", 2).await;
    until(
        || async { gateway.engine.store.endpoint_failures().await.unwrap() },
        Vec::is_empty,
    )
    .await;
    gateway.pass(Duration::from_secs(59));
    until(|| waiting(&gateway), |waiting| *waiting == 1).await;
    gateway.pass(Duration::from_secs(14));
    receiver.wait_for("a", 3).await;
    assert_eq!(receiver.arrived("a")[2], (first.id.as_str().to_owned(), 1));
}

#[tokio::test]
async fn an_endpoint_that_only_fails_for_120_hours_is_called_no_more_until_somebody_switches_it_on()
{
    let (receiver, address) = Receiver::start().await;
    let mut gateway = TestEngine::online().await;
    receiver.always("a", 500);
    let off = async |gateway: &TestEngine| {
        let endpoint_failures = gateway.engine.store.endpoint_failures().await.unwrap();
        endpoint_failures
            .iter()
            .any(|failure| failure.off_at.is_some())
    };
    for day in 0..5 {
        gateway
            .accept_with(BUDI, &format!("hari {day}"), &endpoint(address, "a"))
            .await;
        // The clock must not advance during an attempt, because the failure would then count for
        // the next day.
        until(|| waiting(&gateway), |waiting| *waiting == day + 1).await;
        assert!(!off(&gateway).await, "day {day}");
        gateway.pass(Duration::from_hours(24));
    }
    until(|| off(&gateway), |off| *off).await;
    until(|| waiting(&gateway), |waiting| *waiting == 5).await;
    let before = receiver.stages("a").len();
    // The endpoint stays off after a restart; new callbacks wait.
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    gateway
        .accept_with(BUDI, "dimatikan", &endpoint(address, "a"))
        .await;
    for _ in 0..2 {
        until(
            || async {
                gateway.pass(Duration::from_hours(1));
                waiting(&gateway).await
            },
            |waiting| *waiting == 6,
        )
        .await;
    }
    assert_eq!(receiver.stages("a").len(), before);
    receiver.always("a", 200);
    let called = waviro_store::endpoint_of(&endpoint(address, "a"));
    let store = &gateway.engine.store;
    store
        .endpoint_works(&called, true, gateway.clock.now())
        .await
        .unwrap();
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            owed(&gateway)
        },
        |owed| *owed == 0,
    )
    .await;
    assert!(store.given_up(100).await.unwrap().is_empty());
}

#[tokio::test]
async fn ack_zero_is_posted_only_where_the_message_still_waits_after_ten_seconds() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    let quick = gateway
        .accept_with(BUDI, "quick", &endpoint(address, "quick"))
        .await;
    until(|| gateway.ack_of(&quick.id), |ack| *ack == 1).await;
    gateway.link().set_status(Status::Reconnecting {
        cause: OfflineCause::Ended(String::new()),
    });
    let slow = gateway
        .accept_with(BUDI, "slow", &endpoint(address, "slow"))
        .await;
    gateway.pass(Duration::from_secs(9));
    gateway.pass(Duration::from_millis(900));
    assert!(receiver.stages("slow").is_empty());
    until(
        || async {
            gateway.pass(Duration::from_millis(600));
            receiver.stages("slow")
        },
        |stages| *stages == [0],
    )
    .await;
    gateway.link().set_status(Status::Online);
    read(&gateway, &slow).await;
    assert_eq!(receiver.wait_for("slow", 4).await, [0, 1, 2, 3]);
    assert_eq!(receiver.stages("quick"), [1]);
}

#[tokio::test]
async fn nothing_follows_minus_one() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let accepted = gateway
        .accept_with(BUDI, "halo", &endpoint(address, "a"))
        .await;
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    gateway.link().nack(&accepted.id, "463").await;
    gateway.link().ack(&accepted.id).await;
    gateway
        .link()
        .receipt(&accepted.id, ReceiptLevel::Read)
        .await
        .unwrap();
    receiver.wait_for("a", 1).await;
    until(|| async { owed(&gateway) }, |owed| *owed == 0).await;
    assert_eq!(receiver.stages("a"), [-1]);
}

#[tokio::test]
async fn callbacks_survive_a_restart() {
    let (receiver, address) = Receiver::start().await;
    let mut gateway = TestEngine::online().await;
    receiver.always("a", 500);
    let accepted = gateway
        .accept_with(BUDI, "halo", &endpoint(address, "a"))
        .await;
    receiver.wait_for("a", 1).await;
    read(&gateway, &accepted).await;
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    receiver.always("a", 200);
    let stages = until(
        || async {
            gateway.pass(Duration::from_secs(5));
            receiver.stages("a")
        },
        |stages| stages.ends_with(&[1, 2, 3]),
    )
    .await;
    assert!(
        stages[..stages.len() - 2].iter().all(|stage| *stage == 1),
        "{stages:?}"
    );
}

#[tokio::test]
async fn a_backlog_larger_than_memory_is_drained() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    receiver.always("a", 500);
    for n in 0..2_500 {
        gateway
            .accept_with(BUDI, &n.to_string(), &endpoint(address, "a"))
            .await;
    }
    receiver.wait_for("a", 2_500).await;
    receiver.always("a", 200);
    until(
        || async {
            gateway.pass(Duration::from_secs(5));
            owed(&gateway)
        },
        |owed| *owed == 0,
    )
    .await;
}

/// Returns the number of callbacks that wait for another attempt.
async fn waiting(gateway: &TestEngine) -> i64 {
    use sqlx::{Connection, Row};
    let mut connection = sqlx::AnyConnection::connect(&gateway.url()).await.unwrap();
    let text = "SELECT COUNT(*) FROM deliveries WHERE leased = 0 AND ended_at IS NULL";
    let row = sqlx::query(text).fetch_one(&mut connection).await.unwrap();
    row.get(0)
}

/// Returns the number of failed attempts of the only waiting callback.
async fn put_off(gateway: &TestEngine) -> Option<i64> {
    use sqlx::{Connection, Row};
    let mut connection = sqlx::AnyConnection::connect(&gateway.url()).await.unwrap();
    let row = sqlx::query("SELECT attempts FROM deliveries WHERE leased = 0 AND ended_at IS NULL")
        .fetch_optional(&mut connection)
        .await
        .unwrap();
    row.map(|row| row.get(0))
}
