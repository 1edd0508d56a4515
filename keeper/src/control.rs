//! What the executor asks of a running keeper, on its control socket: one packet a request.
//!
//! The keeper never answers. Its end of the socket closes when all is over, and the executor's end
//! closes when the host is gone.

use std::time::Duration;

/// The length of every request, in bytes.
pub const REQUEST_BYTES: usize = 16;

/// Who wants the work to stop. A later request of a higher rank replaces the reason, never the
/// other way round: what was canceled stays canceled, whatever else happens to it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Reason {
    /// The host is shutting down.
    Stop = 1,
    /// Somebody canceled the job.
    Cancel = 2,
}

/// Ends the work: `SIGTERM` to its process group, and `SIGKILL` to all of it after `grace`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stop {
    /// Why.
    pub reason: Reason,
    /// How long the work has; a later request can only shorten it. Whole milliseconds travel.
    pub grace: Duration,
}

impl Stop {
    /// The packet.
    #[must_use]
    pub fn encode(self) -> [u8; REQUEST_BYTES] {
        let mut packet = [0; REQUEST_BYTES];
        packet[0] = self.reason as u8;
        let grace = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        packet[8..].copy_from_slice(&grace.to_le_bytes());
        packet
    }

    /// Reads a packet; `None` is one that this version does not know, which is ignored.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let packet: &[u8; REQUEST_BYTES] = packet.try_into().ok()?;
        let reason = match packet[0] {
            1 => Reason::Stop,
            2 => Reason::Cancel,
            _ => return None,
        };
        let grace = u64::from_le_bytes(packet[8..].try_into().ok()?);
        Some(Self { reason, grace: Duration::from_millis(grace) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_socket() {
        for reason in [Reason::Stop, Reason::Cancel] {
            let stop = Stop { reason, grace: Duration::from_millis(30_500) };
            assert_eq!(Stop::decode(&stop.encode()), Some(stop));
        }
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        assert_eq!(Stop::decode(&[]), None);
        assert_eq!(Stop::decode(&[9; REQUEST_BYTES]), None);
        assert_eq!(Stop::decode(&[1; REQUEST_BYTES + 1]), None);
    }

    #[test]
    fn a_cancel_outranks_a_stop() {
        assert!(Reason::Cancel > Reason::Stop);
    }
}
