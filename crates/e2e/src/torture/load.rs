//! The load of a torture run: messages of every kind to persons and groups, pairs of identical
//! requests (twins), and questions of customers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use wa_sim::Phone;

use super::log::Log;
use super::receiver::{QUESTION, answers, pause};
use super::stage::{MEMBERS, Stage, hash};
use crate::gateway::Bot;
use crate::oracle::Seen;
use crate::{PATIENCE, spawn};

/// The limit of concurrent requests. Real callers of the gateway also have a limit.
const AT_ONCE: usize = 64;

/// One of this many requests is a pair of twins.
const TWINS: u64 = 25;

/// The interval between two questions of customers.
const QUESTIONS: Duration = Duration::from_millis(300);

pub(super) struct Load {
    participants: Arc<Participants>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    under_way: Arc<Semaphore>,
}

/// The participants of the load.
pub(super) struct Participants {
    pub(super) bots: Vec<Bot>,
    pub(super) owners: Vec<String>,
    pub(super) customers: Vec<Phone>,
    groups: Vec<String>,
    notify: String,
    gone: String,
    picture: String,
    document: String,
    log: Log,
    next: AtomicU64,
    requests: AtomicU64,
    twins: Arc<Semaphore>,
    under_way: Arc<Semaphore>,
}

/// A request to send.
pub(super) struct Planned {
    bot: usize,
    path: String,
    body: Value,
    face: String,
    phones: Vec<String>,
    notify: bool,
}

impl Load {
    /// Starts the load. With `greeted`, the group members receive the sender keys first.
    pub(super) async fn start(
        stage: &Stage,
        chance: &mut StdRng,
        rate: u32,
        greeted: bool,
        log: &Log,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let under_way = Arc::new(Semaphore::new(AT_ONCE));
        let participants = Arc::new(Participants {
            bots: stage.bots.clone(),
            owners: stage.owners.clone(),
            customers: stage.customers.clone(),
            groups: stage.groups.clone(),
            notify: stage.receiver.endpoints().notify(),
            gone: stage.receiver.endpoints().gone(),
            picture: stage.files.url("gambar.png"),
            document: stage.files.url("surat.pdf"),
            log: log.clone(),
            next: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            twins: Arc::new(Semaphore::new(1)),
            under_way: Arc::clone(&under_way),
        });
        if greeted {
            participants.send_first_group_messages().await;
        }
        let gap = Duration::from_secs(1) / rate.max(1);
        let sending = StdRng::seed_from_u64(chance.random());
        let tasks = vec![
            spawn(send(
                Arc::clone(&participants),
                sending,
                gap,
                stopped.clone(),
            )),
            spawn(ask(Arc::clone(&participants), stopped)),
        ];
        Self {
            participants,
            stop,
            tasks,
            under_way,
        }
    }

    pub(super) fn participants(&self) -> Arc<Participants> {
        Arc::clone(&self.participants)
    }

    /// Stops the load after every request has its answer or has lost its connection.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("the load goes on to its end");
        }
        let all = u32::try_from(AT_ONCE).expect("a small number");
        drop(self.under_way.acquire_many(all).await.expect("open"));
    }
}

async fn send(
    participants: Arc<Participants>,
    mut chance: StdRng,
    gap: Duration,
    stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        let n = participants.next.fetch_add(1, Ordering::SeqCst);
        let bot = chance.random_range(0..participants.bots.len());
        if n % TWINS == TWINS - 1 {
            // Only twins write to this chat, and only one pair is open at a time. The second
            // request of a pair therefore always follows the first directly.
            let pair = Arc::clone(&participants.twins).try_acquire_owned();
            let Ok(pair) = pair else {
                continue;
            };
            let permits = Arc::clone(&participants.under_way)
                .acquire_many_owned(2)
                .await;
            let participants = Arc::clone(&participants);
            drop(spawn(async move {
                tokio::join!(
                    participants.put(participants.twin(n, bot)),
                    participants.put(participants.twin(n, bot))
                );
                drop((permits, pair));
            }));
        } else {
            let planned = participants.planned(n, bot, &mut chance);
            let permit = Arc::clone(&participants.under_way).acquire_owned().await;
            let participants = Arc::clone(&participants);
            drop(spawn(async move {
                participants.put(planned).await;
                drop(permit);
            }));
        }
        pause(gap).await;
    }
}

async fn ask(participants: Arc<Participants>, stopped: watch::Receiver<bool>) {
    for n in 0.. {
        if *stopped.borrow() {
            return;
        }
        let phone = &participants.customers[n % 4];
        let owner = &participants.owners[n / 4 % participants.owners.len()];
        let text = format!("{QUESTION} {n}");
        if phone.send_text(owner, &text).await.is_ok() {
            participants.log.see(Seen::Question {
                answers: answers(&text).map(|it| format!("text {it}")).into(),
                face: text,
                phone: phone.number().to_owned(),
            });
        }
        pause(QUESTIONS).await;
    }
}

impl Participants {
    fn planned(&self, n: u64, bot: usize, chance: &mut StdRng) -> Planned {
        let to_group = chance.random_range(0..5) == 0;
        let notify = chance.random_range(0..4) > 0;
        let customer = chance.random_range(0..self.customers.len() - 1);
        let (endpoint, mut body, face) = match chance.random_range(0..10) {
            0 => (
                "sendlocation",
                json!({"latitude": "-6.175392", "longitude": "106.827153", "pesan": format!("tempat {n}")}),
                format!("location tempat {n}"),
            ),
            1 => (
                "sendcontact",
                json!({"contact": {"name": format!("orang {n}"), "numbers": ["6281240000001"]}}),
                format!("contact orang {n}"),
            ),
            2 => (
                "sendmedia",
                json!({"mediaurl": self.picture, "pesan": format!("gambar {n}")}),
                format!("image gambar {n} {}", hash("gambar.png")),
            ),
            3 => (
                "sendmedia",
                json!({"mediaurl": self.document, "pesan": format!("surat {n}")}),
                format!("document surat {n} {}", hash("surat.pdf")),
            ),
            _ => (
                "sendwa",
                json!({"pesan": format!("teks {n}")}),
                format!("text teks {n}"),
            ),
        };
        let number = |phone: &Phone| phone.number().to_owned();
        let (path, phones) = if to_group {
            body["groupid"] = json!(self.groups[bot]);
            let members = self.customers[..MEMBERS].iter().map(number).collect();
            (format!("/api/{endpoint}togroup"), members)
        } else {
            let number = number(&self.customers[customer]);
            body["nohp"] = json!(number);
            (format!("/api/{endpoint}"), vec![number])
        };
        if notify {
            body["notifyurl"] = json!(self.notify);
        }
        Planned {
            bot,
            path,
            body,
            face,
            phones,
            notify,
        }
    }

    fn twin(&self, n: u64, bot: usize) -> Planned {
        let last = self.customers.len() - 1;
        let to = self.customers[last].number();
        Planned {
            bot,
            path: "/api/sendwa".to_owned(),
            body: json!({"nohp": to, "pesan": format!("kembar {n}"), "notifyurl": self.notify}),
            face: format!("text kembar {n}"),
            phones: vec![to.to_owned()],
            notify: true,
        }
    }

    /// Sends the first message to each group and waits until every member shows the message.
    async fn send_first_group_messages(&self) {
        let members = &self.customers[..MEMBERS];
        for (bot, group) in self.groups.iter().enumerate() {
            let text = format!("salam {bot}");
            self.put(Planned {
                bot,
                path: "/api/sendwatogroup".to_owned(),
                body: json!({"groupid": group, "pesan": text}),
                face: format!("text {text}"),
                phones: members.iter().map(|it| it.number().to_owned()).collect(),
                notify: false,
            })
            .await;
            for member in members {
                let shown = member.wait_for(PATIENCE, |message| message.text == text);
                shown.await.expect("a group's first message");
            }
        }
    }

    /// Returns a message with a `notifyurl` that answers 410.
    pub(super) fn with_gone_notifyurl(&self, n: u64) -> Planned {
        let to = self.customers[0].number();
        Planned {
            bot: 0,
            path: "/api/sendwa".to_owned(),
            body: json!({"nohp": to, "pesan": format!("sunyi {n}"), "notifyurl": self.gone}),
            face: format!("text sunyi {n}"),
            phones: vec![to.to_owned()],
            notify: false,
        }
    }

    /// Returns the number of the next request.
    pub(super) fn number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::SeqCst)
    }

    /// Sends the request and logs the outcome.
    pub(super) async fn put(&self, planned: Planned) {
        let request = self.number();
        self.log.see(Seen::Requested {
            request,
            face: planned.face,
            phones: planned.phones,
            notify: planned.notify,
        });
        let answer = self.bots[planned.bot]
            .try_call(&planned.path, planned.body)
            .await;
        self.log.see(match answer {
            Err(_) => Seen::Unanswered { request },
            Ok(answer) if answer.status.is_success() => Seen::Accepted {
                request,
                id: answer.id(),
            },
            Ok(answer) => Seen::Refused {
                request,
                status: answer.status.as_u16(),
            },
        });
    }
}
