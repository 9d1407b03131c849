//! The move of a delivery to the robot that its subscription has now.
//!
//! Owns that a delivery which moves to another platform is read anew: its template and its entries
//! are those of one platform.
//!
//! Not here: what the move resets (`domain/delivery.rs`), and how the delivery starts again
//! (`delivery.rs`).

use std::sync::Arc;

use super::Pipeline;
use crate::{
    domain::{Delivery, Settlement},
    fanout::{DecodeContext, Recipient, Undecodable},
};

impl Pipeline {
    /// Moves a delivery to the robot of its recipient.
    ///
    /// # Errors
    ///
    /// The event cannot be read for the new platform. The delivery is moved, with the content for
    /// the old one.
    pub(super) fn readdress(
        &self,
        delivery: &mut Delivery,
        recipient: &Recipient,
    ) -> Result<(), Undecodable> {
        let read = match delivery.platform == recipient.platform {
            true => Ok(()),
            false => self.read_anew(delivery, recipient),
        };
        delivery.readdress(recipient.platform, recipient.robot);
        read
    }

    fn read_anew(&self, delivery: &mut Delivery, recipient: &Recipient) -> Result<(), Undecodable> {
        let event = &delivery.event;
        let context = DecodeContext {
            id: event.id.clone(),
            received_at: event.received_at,
            expires_at: Some(event.expires_at),
            redriven: delivery.generation > 0,
            urgent: event.urgent,
            platform: Some(recipient.platform),
        };
        match self.parts.decoder.decode(event.published.clone(), context) {
            Ok(event) => {
                delivery.event = Arc::new(event);
                Ok(())
            }
            Err(refused) => Err(refused.1),
        }
    }
}

/// The settlement of one delivery whose event is not readable any more. A redrive must not repeat
/// the others.
pub(super) fn unreadable(why: Undecodable) -> Settlement {
    Settlement::Dead { reason: why.reason(), code: why.code.to_owned(), detail: why.detail }
}
