//! The double of the store: the subscriptions of each topic.
//!
//! Owns the slow, panicking and changing look-ups that a scenario requests. Its content is fixed,
//! so it survives every process.
//!
//! Not here: the real store (`src/store/`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, rngs::SmallRng};
use roomcast::{
    domain::{
        Endpoint, Platform, PrivateOptions, RobotId, Subscription, SubscriptionId,
        SubscriptionOptions, SubscriptionState, Timestamp, TopicName,
    },
    fanout::{
        OpenedRecipient, Recipient, RecipientPage, SealedSubscription, Subscriptions,
        SubscriptionsUnavailable,
    },
    platforms::{main_host, webhook_path},
    port::{PortFuture, at_once, later},
};

/// The recipients in a page. The number is small, so that events with many pages are common.
const PAGE: usize = 64;

/// One robot.
#[derive(Clone)]
pub struct Robot {
    pub platform: Platform,
    pub id: RobotId,
    pub endpoint: String,
}

impl Robot {
    pub fn new(number: usize, platform: Platform) -> Self {
        let token = token_of(number);
        let endpoint = format!("https://{}{}{token}", main_host(platform), webhook_path(platform));
        // A robot id is a keyed hash, whose bytes are evenly distributed. This multiplication
        // distributes them as well.
        let spread = (number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C83_1B5D_6A8F);
        Self { platform, id: RobotId::from_bytes(spread.to_be_bytes()), endpoint }
    }
}

pub fn token_of(number: usize) -> String {
    format!("robot-{number:06}")
}

/// One subscription: a robot and its topic.
#[derive(Clone)]
pub struct Listed {
    pub id: SubscriptionId,
    pub robot: usize,
    pub topic: TopicName,
    pub options: SubscriptionOptions,
}

#[derive(Default)]
pub struct Directory {
    pub robots: Vec<Robot>,
    pub subscriptions: Vec<Listed>,
    by_topic: HashMap<TopicName, Vec<usize>>,
    by_id: BTreeMap<SubscriptionId, usize>,
    /// Dice that make some look-ups slower, as several threads would; `None` makes all equally
    /// fast.
    pub hesitation: Option<Mutex<SmallRng>>,
    /// Topics whose pages, and robots whose subscriptions, panic when they are looked up.
    pub panics: (BTreeSet<String>, BTreeSet<usize>),
    /// The delay of each look-up of a single subscription on one platform, as with rows that are
    /// not in memory and a slow disk.
    pub slow: Option<(Platform, Duration)>,
    /// Dice that replace some recipients between look-up and attempt, as when all records are
    /// encrypted anew; `None` replaces none.
    pub changes: Option<Mutex<SmallRng>>,
    /// The robot to which every stored delivery's subscription has moved.
    pub moved_to: Option<usize>,
    /// How many more times the recipient is replaced between look-up and attempt.
    pub replaced: AtomicU32,
}

impl Directory {
    pub fn add_robot(&mut self, platform: Platform) -> usize {
        self.robots.push(Robot::new(self.robots.len(), platform));
        self.robots.len() - 1
    }

    pub fn subscribe(&mut self, topic: &str, robot: usize) {
        self.subscribe_with(topic, robot, SubscriptionOptions::default());
    }

    pub fn subscribe_with(&mut self, topic: &str, robot: usize, options: SubscriptionOptions) {
        let number = self.subscriptions.len();
        let id = SubscriptionId::from_bytes((number as u128 + 1).to_be_bytes());
        let topic: TopicName = topic.parse().unwrap();
        self.by_topic.entry(topic.clone()).or_default().push(number);
        self.by_id.insert(id, number);
        self.subscriptions.push(Listed { id, robot, topic, options });
    }

    /// The robots subscribed to a topic, with their subscriptions.
    pub fn listeners(&self, topic: &str) -> impl Iterator<Item = &Listed> {
        let topic: Option<TopicName> = topic.parse().ok();
        topic
            .and_then(|topic| self.by_topic.get(&topic))
            .into_iter()
            .flatten()
            .map(|number| &self.subscriptions[*number])
    }

    pub fn listed(&self, id: SubscriptionId) -> &Listed {
        &self.subscriptions[self.by_id[&id]]
    }

    /// Yields to other tasks from time to time.
    async fn hesitate(&self) {
        let Some(dice) = &self.hesitation else { return };
        let times = dice.lock().unwrap().random_range(0..4);
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }

    fn recipient(&self, listed: &Listed) -> Recipient {
        let robot = &self.robots[listed.robot];
        Recipient {
            subscription: listed.id,
            platform: robot.platform,
            robot: robot.id,
            options: listed.options.clone(),
            sealed: SealedSubscription::new(()),
        }
    }
}

impl Subscriptions for Directory {
    fn page<'a>(
        &'a self,
        topic: &'a TopicName,
        after: Option<SubscriptionId>,
    ) -> PortFuture<'a, Result<RecipientPage, SubscriptionsUnavailable>> {
        later(self.page_of(topic, after))
    }

    fn find(
        &self,
        id: SubscriptionId,
    ) -> PortFuture<'_, Result<Option<Recipient>, SubscriptionsUnavailable>> {
        later(self.find_one(id))
    }

    fn open<'a>(
        &'a self,
        recipient: &'a Recipient,
    ) -> PortFuture<'a, Result<OpenedRecipient, SubscriptionsUnavailable>> {
        at_once(self.opened(recipient))
    }
}

impl Directory {
    async fn page_of(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
    ) -> Result<RecipientPage, SubscriptionsUnavailable> {
        self.hesitate().await;
        assert!(!self.panics.0.contains(topic.as_str()), "a page that panics");
        let all = self.by_topic.get(topic).map(Vec::as_slice).unwrap_or_default();
        let start = all.partition_point(|number| Some(self.subscriptions[*number].id) <= after);
        let end = all.len().min(start + PAGE);
        let page = all[start..end].iter().map(|number| &self.subscriptions[*number]);
        let next = (end < all.len()).then(|| self.subscriptions[all[end - 1]].id);
        let recipients = page.map(|listed| self.recipient(listed)).collect();
        Ok(RecipientPage { recipients, has_paused: false, next })
    }

    async fn find_one(
        &self,
        id: SubscriptionId,
    ) -> Result<Option<Recipient>, SubscriptionsUnavailable> {
        self.hesitate().await;
        assert!(!self.panics.1.contains(&self.listed(id).robot), "a subscription that panics");
        let found = self.by_id.get(&id).map(|number| {
            let listed = &self.subscriptions[*number];
            let robot = self.moved_to.unwrap_or(listed.robot);
            self.recipient(&Listed { robot, ..listed.clone() })
        });
        if let Some((platform, takes)) = self.slow
            && found.as_ref().is_some_and(|found| found.platform == platform)
        {
            tokio::time::sleep(takes).await;
        }
        Ok(found)
    }

    fn opened(&self, recipient: &Recipient) -> Result<OpenedRecipient, SubscriptionsUnavailable> {
        let is_replaced =
            self.changes.as_ref().is_some_and(|dice| dice.lock().unwrap().random_bool(0.1));
        let is_next = |left: u32| left.checked_sub(1);
        let is_replaced = is_replaced
            || self.replaced.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_next).is_ok();
        if is_replaced {
            return Ok(OpenedRecipient::Replaced);
        }
        let listed = self.listed(recipient.subscription);
        let robot = self.robots.iter().find(|robot| robot.id == recipient.robot).unwrap();
        Ok(OpenedRecipient::Subscription(Box::new(Subscription {
            id: listed.id,
            topic: listed.topic.clone(),
            platform: robot.platform,
            robot: robot.id,
            endpoint: Endpoint::new(robot.endpoint.clone()),
            secret: None,
            private: PrivateOptions::default(),
            options: listed.options.clone(),
            state: SubscriptionState::Active,
            created_at: Timestamp::from_unix_millis(0),
        })))
    }
}
