//! A link without a wire, for tests: it records what was sent and says what it is told to say.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    Call, Chat, Connector, Evidence, Group, GroupChange, Identity, Inbound, Link, LinkError,
    Listener, MediaHandle, MessageId, Number, Outgoing, Receipt, ReceiptLevel, Sender, ServerAck,
    Status, UnlinkedCause, Verdict,
};

/// Opens [`FakeLink`]s and keeps them by slot, so that a test can take hold of the other end.
#[derive(Debug, Default)]
pub struct FakeConnector {
    links: Mutex<HashMap<i32, Arc<FakeLink>>>,
    linked_as: Option<Identity>,
}

/// One bot's device in a test.
pub struct FakeLink {
    listener: Arc<dyn Listener>,
    status: watch::Sender<Status>,
    script: Mutex<Script>,
}

/// What the fake was told and what it saw.
#[derive(Debug, Default)]
struct Script {
    identity: Option<Identity>,
    sent: Vec<Outgoing>,
    again: Vec<MessageId>,
    unregistered: HashSet<Number>,
    groups: Vec<Group>,
    lookups: usize,
    reconnects: usize,
    silent: bool,
    next_error: Option<LinkError>,
    typed: Vec<(Chat, bool)>,
    files: HashMap<String, Vec<u8>>,
    downloads: usize,
    next_download_error: Option<LinkError>,
    evidence: Evidence,
}

impl FakeConnector {
    /// Every link starts unlinked.
    #[must_use]
    pub fn unlinked() -> Self {
        Self::default()
    }

    /// Every link starts online as `number`.
    #[must_use]
    pub fn online(number: Number) -> Self {
        let name = number.to_string();
        Self {
            links: Mutex::default(),
            linked_as: Some(Identity { number, name }),
        }
    }

    /// The other end of the link in `slot`, once the gateway has opened it.
    #[must_use]
    pub fn link(&self, slot: i32) -> Option<Arc<FakeLink>> {
        lock(&self.links).get(&slot).cloned()
    }
}

#[async_trait]
impl Connector for FakeConnector {
    async fn open(
        &self,
        slot: i32,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<dyn Link>, LinkError> {
        let first = if self.linked_as.is_some() {
            Status::Online
        } else {
            Status::Unlinked(UnlinkedCause::Never)
        };
        let script = Script {
            identity: self.linked_as.clone(),
            ..Script::default()
        };
        listener.status(&first);
        let link = Arc::new(FakeLink {
            listener,
            status: watch::Sender::new(first),
            script: Mutex::new(script),
        });
        lock(&self.links).insert(slot, Arc::clone(&link));
        Ok(link)
    }

    async fn forget(&self, slot: i32) -> Result<(), LinkError> {
        lock(&self.links).remove(&slot);
        Ok(())
    }
}

impl FakeLink {
    /// Every message handed to the wire so far, repeats included.
    #[must_use]
    pub fn sent(&self) -> Vec<Outgoing> {
        lock(&self.script).sent.clone()
    }

    /// Those of them that came as possibly written before.
    #[must_use]
    pub fn sent_again(&self) -> Vec<MessageId> {
        lock(&self.script).again.clone()
    }

    /// How many lookups went over the wire.
    #[must_use]
    pub fn lookups(&self) -> usize {
        lock(&self.script).lookups
    }

    /// How often the gateway asked for a fresh connection.
    #[must_use]
    pub fn reconnects(&self) -> usize {
        lock(&self.script).reconnects
    }

    /// From now on the server acks nothing by itself; a test uses [`FakeLink::ack`].
    pub fn keep_silent(&self) {
        lock(&self.script).silent = true;
    }

    /// The next `send` fails so.
    pub fn fail_next_send(&self, error: LinkError) {
        lock(&self.script).next_error = Some(error);
    }

    /// What was shown in chats so far: typing or not.
    #[must_use]
    pub fn typed(&self) -> Vec<(Chat, bool)> {
        lock(&self.script).typed.clone()
    }

    /// WhatsApp has this file behind `handle` from now on. What it has not is refused.
    pub fn put_file(&self, handle: &MediaHandle, bytes: impl Into<Vec<u8>>) {
        let mut script = lock(&self.script);
        script
            .files
            .insert(handle.as_str().to_owned(), bytes.into());
    }

    /// How many downloads were asked for.
    #[must_use]
    pub fn downloads(&self) -> usize {
        lock(&self.script).downloads
    }

    /// The next download fails so.
    pub fn fail_next_download(&self, error: LinkError) {
        lock(&self.script).next_download_error = Some(error);
    }

    /// What [`Link::evidence`] says from now on.
    pub fn set_evidence(&self, evidence: Evidence) {
        lock(&self.script).evidence = evidence;
    }

    /// The number is not on WhatsApp.
    pub fn unregister(&self, number: Number) {
        lock(&self.script).unregistered.insert(number);
    }

    /// The groups that the bot is in from now on.
    pub fn set_groups(&self, groups: Vec<Group>) {
        lock(&self.script).groups = groups;
        self.listener.groups_changed();
    }

    fn online(&self) -> Result<(), LinkError> {
        match *self.status.borrow() {
            Status::Online => Ok(()),
            _ => Err(LinkError::Offline),
        }
    }

    /// Changes the state, as the wire would.
    pub fn set_status(&self, status: Status) {
        self.listener.status(&status);
        self.status.send_replace(status);
    }

    /// A phone scans: the device is linked and online.
    pub fn scan(&self, identity: Identity) {
        lock(&self.script).identity = Some(identity);
        self.set_status(Status::Online);
    }

    /// The server takes the message.
    pub async fn ack(&self, id: &MessageId) {
        self.listener
            .server_ack(ServerAck {
                id: id.clone(),
                verdict: Verdict::Accepted,
            })
            .await;
    }

    /// The server refuses the message.
    pub async fn nack(&self, id: &MessageId, code: &str) {
        self.listener
            .server_ack(ServerAck {
                id: id.clone(),
                verdict: Verdict::Refused(code.to_owned()),
            })
            .await;
    }

    /// Somebody writes.
    ///
    /// # Errors
    /// What the gateway answered.
    pub async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), crate::NotCommitted> {
        self.listener.inbound(batch).await
    }

    /// A recipient's phone reports.
    ///
    /// # Errors
    /// What the gateway answered.
    pub async fn receipt(
        &self,
        id: &MessageId,
        level: ReceiptLevel,
    ) -> Result<(), crate::NotCommitted> {
        self.report(receipt(id, level, None)).await
    }

    /// The phone of a group's member reports.
    ///
    /// # Errors
    /// What the gateway answered.
    pub async fn member_receipt(
        &self,
        id: &MessageId,
        level: ReceiptLevel,
        member: Sender,
    ) -> Result<(), crate::NotCommitted> {
        self.report(receipt(id, level, Some(member))).await
    }

    /// Whether the gateway says of such a receipt that it changes nothing.
    #[must_use]
    pub fn is_known(&self, id: &MessageId, level: ReceiptLevel, member: Option<Sender>) -> bool {
        self.listener.knows(&receipt(id, level, member))
    }

    /// Somebody's phone reports, recipient or not.
    ///
    /// # Errors
    /// What the gateway answered.
    pub async fn report(&self, receipt: Receipt) -> Result<(), crate::NotCommitted> {
        if self.listener.knows(&receipt) {
            return Ok(());
        }
        self.listener.receipt(receipt).await
    }

    /// Somebody calls.
    pub async fn call(&self, call: Call) {
        self.listener.call(call).await;
    }

    /// A group changes.
    pub async fn change_group(&self, change: GroupChange) {
        self.listener.group_changed(change).await;
    }
}

/// The receipt of a group's member; without one, of somebody of whom WhatsApp says nothing.
fn receipt(id: &MessageId, level: ReceiptLevel, member: Option<Sender>) -> Receipt {
    Receipt {
        ids: vec![id.clone()],
        level,
        in_group: member.is_some(),
        from: member,
        alias: None,
        group: None,
    }
}

#[async_trait]
impl Link for FakeLink {
    fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    fn identity(&self) -> Option<Identity> {
        lock(&self.script).identity.clone()
    }

    async fn start_linking(&self) -> Result<(), LinkError> {
        let qr = crate::QrCode {
            text: "2@fake,fake,fake,fake,1".to_owned(),
            expires: std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX)),
        };
        self.set_status(Status::Linking { qr: Some(qr) });
        Ok(())
    }

    async fn pairing_code(&self, _number: &Number) -> Result<String, LinkError> {
        Ok("FAKE-CODE".to_owned())
    }

    async fn send(&self, message: &Outgoing, again: bool) -> Result<(), LinkError> {
        let acks = {
            let mut script = lock(&self.script);
            if let Some(error) = script.next_error.take() {
                return Err(error);
            }
            if *self.status.borrow() != Status::Online {
                return Err(LinkError::Offline);
            }
            script.sent.push(message.clone());
            if again {
                script.again.push(message.id.clone());
            }
            !script.silent
        };
        if acks {
            self.ack(&message.id).await;
        }
        Ok(())
    }

    async fn is_registered(&self, number: &Number) -> Result<bool, LinkError> {
        self.online()?;
        let mut script = lock(&self.script);
        script.lookups += 1;
        Ok(!script.unregistered.contains(number))
    }

    async fn groups(&self) -> Result<Vec<Group>, LinkError> {
        self.online()?;
        let mut script = lock(&self.script);
        script.lookups += 1;
        Ok(script.groups.clone())
    }

    async fn typing(&self, to: &Chat, on: bool) -> Result<(), LinkError> {
        self.online()?;
        lock(&self.script).typed.push((to.clone(), on));
        Ok(())
    }

    async fn download(&self, handle: &MediaHandle, to: &Path) -> Result<(), LinkError> {
        self.online()?;
        let bytes = {
            let mut script = lock(&self.script);
            script.downloads += 1;
            if let Some(error) = script.next_download_error.take() {
                return Err(error);
            }
            script.files.get(handle.as_str()).cloned()
        };
        let bytes = bytes.ok_or_else(|| LinkError::Refused("the file is gone".to_owned()))?;
        write(to, &bytes).map_err(|error| LinkError::Failed(error.to_string()))
    }

    fn evidence(&self) -> Evidence {
        lock(&self.script).evidence
    }

    async fn reconnect(&self) {
        lock(&self.script).reconnects += 1;
    }

    async fn logout(&self) {
        lock(&self.script).identity = None;
        self.set_status(Status::Unlinked(UnlinkedCause::LoggedOut(
            "by the gateway".to_owned(),
        )));
    }

    async fn close(&self, _within: Duration) {}
}

impl std::fmt::Debug for FakeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeLink")
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}

/// As the real link leaves a file behind.
fn write(to: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(to)?.write_all(bytes)
}

/// A panicked test thread must not hide what the fake saw.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
