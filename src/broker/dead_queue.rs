//! The dead queues of one prefix, and listing their letters.
//!
//! It uses its own connection, so operators can use it with or without a running daemon.
//!
//! Owns the promise that a listing shows each letter once and leaves it in its queue.
//!
//! Not here: redriving and discarding (`dead_letter_action.rs`), the order of letters in a walk
//! (`dead_queue_scan.rs`).

use std::{sync::Arc, time::Duration};

use lapin::{Connection, message::Delivery};

use super::{
    Address, BrokerError,
    dead_letter::DeadLetter,
    dead_queue_name::DeadQueue,
    dead_queue_scan::{self, Connected, DeadQueueScan, size},
    error::while_connecting,
    frame_guard::BodyBudget,
    topology::Topology,
};

/// The dead queues of one prefix.
pub struct DeadQueues {
    /// Also for the connection of redriven copies.
    pub(super) address: Address,
    connection: Connection,
    /// The room for the bodies of letters.
    bodies: Arc<BodyBudget>,
    pub(super) topology: Arc<Topology>,
    pub(super) at: String,
    pub(super) confirm_timeout: Duration,
    pub(super) waiting: Box<dyn Fn() + Send + Sync>,
}

/// The result of listing letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// The number of letters seen.
    pub letters: u64,
    /// The number of letters that other consumers held at the time.
    pub missed: u64,
}

impl DeadQueues {
    /// Connects.
    pub async fn open(
        address: &Address,
        topology: Arc<Topology>,
        confirm_timeout: Duration,
    ) -> Result<Self, BrokerError> {
        Self::connect(address, topology, confirm_timeout, BodyBudget::all()).await
    }

    /// Connects for listing letters without their bodies. Such a value redrives nothing and awaits
    /// no confirm.
    pub(super) async fn open_without_bodies(
        address: &Address,
        topology: Arc<Topology>,
    ) -> Result<Self, BrokerError> {
        Self::connect(address, topology, Duration::MAX, BodyBudget::none()).await
    }

    async fn connect(
        address: &Address,
        topology: Arc<Topology>,
        confirm_timeout: Duration,
        bodies: Arc<BodyBudget>,
    ) -> Result<Self, BrokerError> {
        let connection = address.connect_with_room(Arc::clone(&bodies), "roomcast dead").await?;
        let (address, at) = (address.clone(), address.shown()?);
        Ok(Self {
            address,
            connection,
            bodies,
            topology,
            at,
            confirm_timeout,
            waiting: Box::new(|| ()),
        })
    }

    /// Sets a callback for a long wait for another walk.
    pub fn on_waiting(&mut self, waiting: impl Fn() + Send + Sync + 'static) {
        self.waiting = Box::new(waiting);
    }

    /// Closes the connection.
    pub async fn close(self) -> Result<(), BrokerError> {
        let closed = self.connection.close(200, "done".into()).await;
        closed.map_err(|error| while_connecting(&self.at, &error))
    }

    /// The number of ready letters in these queues.
    pub async fn depth(&self, queues: &[DeadQueue]) -> Result<u64, BrokerError> {
        let mut depth = 0;
        for queue in queues {
            depth += u64::from(
                dead_queue_scan::depth(&self.connection, &self.at, &queue.name(&self.topology))
                    .await?
                    .0,
            );
        }
        Ok(depth)
    }

    /// Passes every letter of these queues to `seen`, the oldest of each queue first. Each letter
    /// stays at its place.
    pub async fn scan(
        &self,
        queues: &[DeadQueue],
        mut seen: impl FnMut(DeadLetter),
    ) -> Result<ScanReport, BrokerError> {
        let mut report = ScanReport::default();
        for queue in queues {
            let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
            let scan = DeadQueueScan::begin(self.connected(), &name, &lock, &*self.waiting).await?;
            self.scan_queue(scan, *queue, &mut report, &mut seen).await?;
        }
        Ok(report)
    }

    /// Passes every letter of this queue to `seen`; `None` if another walk or consumer uses the
    /// queue.
    pub(super) async fn scan_if_free(
        &self,
        queue: DeadQueue,
        mut seen: impl FnMut(DeadLetter),
    ) -> Result<Option<ScanReport>, BrokerError> {
        let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
        let Some(scan) = DeadQueueScan::begin_if_free(self.connected(), &name, &lock).await? else {
            return Ok(None);
        };
        let mut report = ScanReport::default();
        self.scan_queue(scan, queue, &mut report, &mut seen).await?;
        Ok(Some(report))
    }

    async fn scan_queue(
        &self,
        mut scan: DeadQueueScan<'_>,
        queue: DeadQueue,
        report: &mut ScanReport,
        seen: &mut impl FnMut(DeadLetter),
    ) -> Result<(), BrokerError> {
        while scan.fetch(u16::MAX).await? {
            while let Some(delivery) = scan.next().await? {
                let size = size(&delivery);
                report.letters += 1;
                seen(self.read(queue, delivery));
                scan.release(size);
            }
        }
        report.missed += scan.end(0).await?;
        Ok(())
    }

    pub(super) fn connected(&self) -> Connected<'_> {
        Connected { connection: &self.connection, bodies: &self.bodies, at: &self.at }
    }

    pub(super) fn read(&self, queue: DeadQueue, delivery: Delivery) -> DeadLetter {
        DeadLetter::read(&self.topology, queue, delivery.data, &delivery.properties)
    }
}
