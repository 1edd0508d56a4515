//! What executor and keeper say to each other beside orders, on the keeper's control socket: one
//! packet each.
//!
//! Everything names the attempt it is about by the number in its order, because the socket outlives
//! attempts: a stop that crosses the end of its attempt must not hit the next one.

use std::time::Duration;

/// The length of the longest packet here, in bytes.
pub const PACKET_BYTES: usize = 24;

/// The first byte of an order.
pub(crate) const ORDER: u8 = 3;
const DONE: u8 = 4;

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
    /// Which attempt.
    pub attempt: u64,
    /// Why.
    pub reason: Reason,
    /// How long the work has; a later request can only shorten it. Whole milliseconds travel.
    pub grace: Duration,
}

impl Stop {
    /// The packet.
    #[must_use]
    pub fn encode(self) -> [u8; PACKET_BYTES] {
        let grace = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        packet(self.reason as u8, self.attempt, grace)
    }

    /// Reads a packet; `None` if it is something else.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let (kind, attempt, grace) = parts(packet)?;
        let reason = match kind {
            1 => Reason::Stop,
            2 => Reason::Cancel,
            _ => return None,
        };
        Some(Self { attempt, reason, grace: Duration::from_millis(grace) })
    }
}

/// The keeper's only word: the record is written, the lock is free, and it can take another order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Done {
    /// Which attempt.
    pub attempt: u64,
}

impl Done {
    /// The packet.
    #[must_use]
    pub fn encode(self) -> [u8; PACKET_BYTES] {
        packet(DONE, self.attempt, 0)
    }

    /// Reads a packet; `None` if it is something else.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let (kind, attempt, _) = parts(packet)?;
        (kind == DONE).then_some(Self { attempt })
    }
}

fn packet(kind: u8, attempt: u64, value: u64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    packet[0] = kind;
    packet[8..16].copy_from_slice(&attempt.to_le_bytes());
    packet[16..].copy_from_slice(&value.to_le_bytes());
    packet
}

fn parts(packet: &[u8]) -> Option<(u8, u64, u64)> {
    let packet: &[u8; PACKET_BYTES] = packet.try_into().ok()?;
    let number = |at: usize| Some(u64::from_le_bytes(packet[at..at + 8].try_into().ok()?));
    Some((packet[0], number(8)?, number(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_survives_the_socket() {
        for reason in [Reason::Stop, Reason::Cancel] {
            let stop = Stop { attempt: 7, reason, grace: Duration::from_millis(30_500) };
            assert_eq!(Stop::decode(&stop.encode()), Some(stop));
            assert_eq!(Done::decode(&stop.encode()), None);
        }
        let done = Done { attempt: u64::MAX };
        assert_eq!(Done::decode(&done.encode()), Some(done));
        assert_eq!(Stop::decode(&done.encode()), None);
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        for packet in [&[][..], &[9; PACKET_BYTES], &[1; PACKET_BYTES + 1]] {
            assert_eq!((Stop::decode(packet), Done::decode(packet)), (None, None));
        }
    }

    #[test]
    fn a_cancel_outranks_a_stop() {
        assert!(Reason::Cancel > Reason::Stop);
    }
}
