//! A link without a network, for tests. The fake records sent messages and reports the events
//! chosen by the test.

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
    Listener, MediaHandle, MessageId, Nack, Number, Outgoing, Receipt, ReceiptLevel, Sender,
    ServerAck, Status, UnlinkedCause, Verdict,
};

/// Opens [`FakeLink`]s and stores them by bot id, so that a test can control each link.
#[derive(Debug, Default)]
pub struct FakeConnector {
    links: Mutex<HashMap<i32, Arc<FakeLink>>>,
    linked_as: Option<Identity>,
}

/// The device of one bot in a test.
pub struct FakeLink {
    listener: Arc<dyn Listener>,
    status: watch::Sender<Status>,
    script: Mutex<Script>,
}

/// The test's instructions and the recorded calls.
#[derive(Debug, Default)]
struct Script {
    identity: Option<Identity>,
    sent: Vec<Outgoing>,
    again: Vec<MessageId>,
    unregistered: HashSet<Number>,
    lids: HashMap<Number, String>,
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
    /// Returns a connector with unlinked links.
    #[must_use]
    pub fn unlinked() -> Self {
        Self::default()
    }

    /// Returns a connector with links that are online as `number`.
    #[must_use]
    pub fn online(number: Number) -> Self {
        let name = number.to_string();
        Self {
            links: Mutex::default(),
            linked_as: Some(Identity { number, name }),
        }
    }

    /// Returns the link of `bot_id` after the gateway has opened it.
    #[must_use]
    pub fn link(&self, bot_id: i32) -> Option<Arc<FakeLink>> {
        lock(&self.links).get(&bot_id).cloned()
    }
}

#[async_trait]
impl Connector for FakeConnector {
    async fn open(
        &self,
        bot_id: i32,
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
        lock(&self.links).insert(bot_id, Arc::clone(&link));
        Ok(link)
    }

    async fn forget(&self, bot_id: i32) -> Result<(), LinkError> {
        lock(&self.links).remove(&bot_id);
        Ok(())
    }
}

impl FakeLink {
    /// Returns all messages sent so far, including resent messages.
    #[must_use]
    pub fn sent(&self) -> Vec<Outgoing> {
        lock(&self.script).sent.clone()
    }

    /// Returns the ids of the messages sent with `again`.
    #[must_use]
    pub fn sent_again(&self) -> Vec<MessageId> {
        lock(&self.script).again.clone()
    }

    /// Returns the number of lookups.
    #[must_use]
    pub fn lookups(&self) -> usize {
        lock(&self.script).lookups
    }

    /// Returns the number of reconnects requested by the gateway.
    #[must_use]
    pub fn reconnects(&self) -> usize {
        lock(&self.script).reconnects
    }

    /// Stops the automatic server acks; a test then uses [`FakeLink::ack`].
    pub fn keep_silent(&self) {
        lock(&self.script).silent = true;
    }

    /// Makes the next `send` fail with `error`.
    pub fn fail_next_send(&self, error: LinkError) {
        lock(&self.script).next_error = Some(error);
    }

    /// Returns the typing signs shown in chats so far: on or off.
    #[must_use]
    pub fn typed(&self) -> Vec<(Chat, bool)> {
        lock(&self.script).typed.clone()
    }

    /// Provides a file for downloads with `handle`. Downloads with an unknown handle are refused.
    pub fn put_file(&self, handle: &MediaHandle, bytes: impl Into<Vec<u8>>) {
        let mut script = lock(&self.script);
        script
            .files
            .insert(handle.as_str().to_owned(), bytes.into());
    }

    /// Returns the number of requested downloads.
    #[must_use]
    pub fn downloads(&self) -> usize {
        lock(&self.script).downloads
    }

    /// Makes the next download fail with `error`.
    pub fn fail_next_download(&self, error: LinkError) {
        lock(&self.script).next_download_error = Some(error);
    }

    /// Sets the result of [`Link::evidence`].
    pub fn set_evidence(&self, evidence: Evidence) {
        lock(&self.script).evidence = evidence;
    }

    /// Marks the number as not registered on WhatsApp.
    pub fn unregister(&self, number: Number) {
        lock(&self.script).unregistered.insert(number);
    }

    /// Makes the device know the LID of a number.
    pub fn know_lid(&self, number: Number, lid: &str) {
        lock(&self.script).lids.insert(number, lid.to_owned());
    }

    /// Sets the groups of the bot and reports the change.
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

    /// Changes the status and reports the change.
    pub fn set_status(&self, status: Status) {
        self.listener.status(&status);
        self.status.send_replace(status);
    }

    /// Simulates the scan of the QR code: the device is linked and online.
    pub fn scan(&self, identity: Identity) {
        lock(&self.script).identity = Some(identity);
        self.set_status(Status::Online);
    }

    /// Simulates a server ack for an accepted message.
    pub async fn ack(&self, id: &MessageId) {
        self.listener
            .server_ack(ServerAck {
                id: id.clone(),
                verdict: Verdict::Accepted,
            })
            .await;
    }

    /// Simulates a server ack for a refused message.
    pub async fn nack(&self, id: &MessageId, code: &str) {
        self.listener
            .server_ack(ServerAck {
                id: id.clone(),
                verdict: Verdict::Refused(Nack::parse(code)),
            })
            .await;
    }

    /// Delivers inbound messages.
    ///
    /// # Errors
    /// The error of [`Listener::inbound`].
    pub async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), crate::NotCommitted> {
        self.listener.inbound(batch).await
    }

    /// Delivers a receipt of a recipient's phone.
    ///
    /// # Errors
    /// The error of [`Listener::receipt`].
    pub async fn receipt(
        &self,
        id: &MessageId,
        level: ReceiptLevel,
    ) -> Result<(), crate::NotCommitted> {
        self.report(receipt(id, level, None)).await
    }

    /// Delivers a receipt of a group member's phone.
    ///
    /// # Errors
    /// The error of [`Listener::receipt`].
    pub async fn member_receipt(
        &self,
        id: &MessageId,
        level: ReceiptLevel,
        member: Sender,
    ) -> Result<(), crate::NotCommitted> {
        self.report(receipt(id, level, Some(member))).await
    }

    /// Returns the result of [`Listener::knows`] for such a receipt.
    #[must_use]
    pub fn is_known(&self, id: &MessageId, level: ReceiptLevel, member: Option<Sender>) -> bool {
        self.listener.knows(&receipt(id, level, member))
    }

    /// Delivers any receipt. As in the real link, the gateway does not see a receipt that changes
    /// nothing.
    ///
    /// # Errors
    /// The error of [`Listener::receipt`].
    pub async fn report(&self, receipt: Receipt) -> Result<(), crate::NotCommitted> {
        if self.listener.knows(&receipt) {
            return Ok(());
        }
        self.listener.receipt(receipt).await
    }

    /// Delivers a call.
    pub async fn call(&self, call: Call) {
        self.listener.call(call).await;
    }

    /// Delivers a group change.
    pub async fn change_group(&self, change: GroupChange) {
        self.listener.group_changed(change).await;
    }
}

/// Creates the receipt of a group member; without a member, a one-to-one receipt without a sender.
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

    async fn may_be(&self, lid: &str, number: &Number) -> bool {
        let script = lock(&self.script);
        script.lids.get(number).is_none_or(|known| known == lid)
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

/// Writes the file with mode 0600, like the real link.
fn write(to: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(to)?.write_all(bytes)
}

/// Locks the mutex even after a panic, because a panicked test thread must not hide the recorded
/// calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
