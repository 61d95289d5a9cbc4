//! The commands of one transaction.

use sqlx::AnyConnection;

use crate::command::{Accept, ApplyAcks, Command, Other, Posted, Replying};
use crate::counts::Counters;
use crate::{StoreError, acks, deliveries, messages};

/// The commands of one transaction, sorted by kind. The order between kinds does not matter for a
/// message: a sender of an ack update has received the result of the accept before.
#[derive(Default)]
pub(super) struct Batch {
    accepts: Vec<Accept>,
    /// Accepts with a response to store.
    keyed: Vec<Accept>,
    acks: Vec<ApplyAcks>,
    posted: Vec<Posted>,
    replying: Vec<Replying>,
    others: Vec<Box<dyn Other>>,
}

impl FromIterator<Command> for Batch {
    fn from_iter<I: IntoIterator<Item = Command>>(commands: I) -> Self {
        let mut batch = Self::default();
        for command in commands {
            match command {
                Command::Accept(accept) if accept.is_one_statement() => batch.accepts.push(*accept),
                Command::Accept(accept) => batch.keyed.push(*accept),
                Command::ApplyAcks(command) => batch.acks.push(command),
                Command::Posted(posted) => batch.posted.push(posted),
                Command::Replying(replying) => batch.replying.push(replying),
                Command::Other(other) => batch.others.push(other),
            }
        }
        batch
    }
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.accepts.len()
            + self.keyed.len()
            + self.acks.len()
            + self.posted.len()
            + self.replying.len()
            + self.others.len()
    }

    /// Returns the name of each writing command once.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let of = |count: usize, name| (count > 0).then_some(name);
        let frequent = [
            of(self.accepts.len() + self.keyed.len(), "accept"),
            of(self.acks.len(), "apply_acks"),
            of(self.posted.len(), "posted"),
            of(self.replying.len(), "reply"),
        ];
        (frequent.into_iter().flatten()).chain(self.others.iter().map(|other| other.name()))
    }

    /// Returns `true` for a single accept without other commands. The accept is one SQL statement,
    /// and SQLite runs the statement as a transaction of its own. Without BEGIN and COMMIT, the
    /// accept takes one hand-off to the database's thread instead of three.
    pub(super) fn is_one_statement(&self) -> bool {
        self.len() == 1 && self.accepts.len() == 1
    }

    pub(super) async fn apply(
        &mut self,
        connection: &mut AnyConnection,
        counters: &mut Counters,
    ) -> Result<(), StoreError> {
        messages::apply(&mut self.accepts, connection, counters).await?;
        messages::apply_with_key(&mut self.keyed, connection, counters).await?;
        acks::apply(&mut self.acks, connection, counters).await?;
        deliveries::apply_posted(&mut self.posted, connection, counters).await?;
        deliveries::apply_replies(&mut self.replying, connection, counters).await?;
        for other in &mut self.others {
            other.apply(connection, counters).await?;
        }
        Ok(())
    }

    pub(super) fn answer(self, done: &Result<(), StoreError>) {
        // The lane relies on the order of insertion.
        for accept in self.accepts.into_iter().chain(self.keyed) {
            accept.answer(done.clone());
        }
        for command in self.acks {
            command.answer(done.clone());
        }
        for posted in self.posted {
            posted.answer(done.clone());
        }
        for replying in self.replying {
            replying.answer(done.clone());
        }
        for other in self.others {
            other.answer(done.clone());
        }
    }

    pub(super) fn singles(self) -> Vec<Self> {
        let accepts = self.accepts.into_iter().chain(self.keyed);
        let commands = (accepts.map(|accept| Command::Accept(Box::new(accept))))
            .chain(self.acks.into_iter().map(Command::ApplyAcks))
            .chain(self.posted.into_iter().map(Command::Posted))
            .chain(self.replying.into_iter().map(Command::Replying))
            .chain(self.others.into_iter().map(Command::Other));
        commands
            .map(|command| std::iter::once(command).collect())
            .collect()
    }
}
