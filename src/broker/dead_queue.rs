//! The dead queues, to be looked at. Owns that a look shows each letter once, and keeps none.
//!
//! It works on a connection of its own, so that operators can use it with or without a running daemon. What is done with letters is in `dead_act.rs`.

use std::{sync::Arc, time::Duration};

use lapin::{Connection, message::Delivery};

use super::{
    Address, BrokerError,
    dead_filter::DeadQueue,
    dead_letter::DeadLetter,
    dead_walk::{self, Connected, Walk, size},
    error::while_connecting,
    frame_guard::Bodies,
    topology::Topology,
};

/// The dead queues of one prefix.
pub struct DeadQueues {
    /// For what is done with letters as well.
    pub(super) address: Address,
    connection: Connection,
    /// How much of letters is in memory.
    bodies: Arc<Bodies>,
    pub(super) topology: Arc<Topology>,
    pub(super) at: String,
    pub(super) confirm_timeout: Duration,
    pub(super) waiting: Box<dyn Fn() + Send + Sync>,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many letters were looked at.
    pub letters: u64,
    /// How many more there are, which somebody else held at the time.
    pub missed: u64,
}

impl DeadQueues {
    /// Connects.
    pub async fn open(
        address: &Address,
        topology: Arc<Topology>,
        confirm_timeout: Duration,
    ) -> Result<Self, BrokerError> {
        Self::connect(address, topology, confirm_timeout, Bodies::all()).await
    }

    /// Connects for a look at everything but bodies, which do not come. It redrives nothing, and awaits no confirm.
    pub(super) async fn open_without_bodies(address: &Address, topology: Arc<Topology>) -> Result<Self, BrokerError> {
        Self::connect(address, topology, Duration::MAX, Bodies::none()).await
    }

    async fn connect(
        address: &Address,
        topology: Arc<Topology>,
        confirm_timeout: Duration,
        bodies: Arc<Bodies>,
    ) -> Result<Self, BrokerError> {
        let connection = address.connect_with_room(Arc::clone(&bodies), "roomcast dead").await?;
        let (address, at) = (address.clone(), address.shown()?);
        Ok(Self { address, connection, bodies, topology, at, confirm_timeout, waiting: Box::new(|| ()) })
    }

    /// Is told whenever others are at a queue, and it takes them long.
    pub fn say_when_waiting(&mut self, waiting: impl Fn() + Send + Sync + 'static) {
        self.waiting = Box::new(waiting);
    }

    /// Says goodbye to the broker.
    pub async fn close(self) -> Result<(), BrokerError> {
        let closed = self.connection.close(200, "done".into()).await;
        closed.map_err(|error| while_connecting(&self.at, &error))
    }

    /// How many letters lie in these queues.
    pub async fn depth(&self, queues: &[DeadQueue]) -> Result<u64, BrokerError> {
        let mut depth = 0;
        for queue in queues {
            depth += u64::from(dead_walk::depth(&self.connection, &self.at, &queue.name(&self.topology)).await?.0);
        }
        Ok(depth)
    }

    /// Shows every letter of these queues to `seen`, the oldest of each queue first, and leaves all at its place.
    pub async fn look(&self, queues: &[DeadQueue], mut seen: impl FnMut(DeadLetter)) -> Result<Looked, BrokerError> {
        let mut looked = Looked::default();
        for queue in queues {
            let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
            let walk = Walk::begin(self.connected(), &name, &lock, &*self.waiting).await?;
            self.look_along(walk, *queue, &mut looked, &mut seen).await?;
        }
        Ok(looked)
    }

    /// Shows every letter of this queue to `seen`, unless anybody else is at it.
    pub(super) async fn look_if_free(
        &self,
        queue: DeadQueue,
        mut seen: impl FnMut(DeadLetter),
    ) -> Result<Option<Looked>, BrokerError> {
        let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
        let Some(walk) = Walk::begin_if_free(self.connected(), &name, &lock).await? else {
            return Ok(None);
        };
        let mut looked = Looked::default();
        self.look_along(walk, queue, &mut looked, &mut seen).await?;
        Ok(Some(looked))
    }

    async fn look_along(
        &self,
        mut walk: Walk<'_>,
        queue: DeadQueue,
        looked: &mut Looked,
        seen: &mut impl FnMut(DeadLetter),
    ) -> Result<(), BrokerError> {
        while walk.ask(u16::MAX).await? {
            while let Some(delivery) = walk.next().await? {
                let size = size(&delivery);
                looked.letters += 1;
                seen(self.read(queue, delivery));
                walk.release(size);
            }
        }
        looked.missed += walk.end(0).await?;
        Ok(())
    }

    pub(super) fn connected(&self) -> Connected<'_> {
        Connected { connection: &self.connection, bodies: &self.bodies, at: &self.at }
    }

    pub(super) fn read(&self, queue: DeadQueue, delivery: Delivery) -> DeadLetter {
        DeadLetter::read(&self.topology, queue, delivery.data, &delivery.properties)
    }
}
