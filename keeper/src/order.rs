//! The order for one attempt: what the executor sends a keeper, in one packet.
//!
//! ```text
//!  3 │ attempt u64 │ deadline u64 │ grace u64 │ arguments u32 │ variables u32 │ strings, each + NUL
//! ```
//!
//! Numbers are little endian; the first takes eight bytes. Times are nanoseconds; the deadline is on
//! `CLOCK_BOOTTIME`, which goes on counting while the machine sleeps. Two descriptors travel with the
//! packet, in this order: the attempt's directory, and its `exit` file, locked. A packet arrives whole
//! or not at all, so an executor that dies in between cannot put anything out of step.

use std::ffi::{CStr, CString};

use crate::control::ORDER;

/// The longest order, in bytes: the arguments and the environment of a job together.
pub const MAX_ORDER_BYTES: usize = 128 * 1024;

/// How many descriptors travel with an order.
pub const DESCRIPTORS: usize = 2;

const HEAD: usize = 40;

/// The order is longer than [`MAX_ORDER_BYTES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLong {
    /// How long it would be.
    pub bytes: usize,
}

/// Writes the order for the attempt of that number. `arguments` starts with the program's path; `variables` are `NAME=value`.
///
/// # Errors
///
/// [`TooLong`].
pub fn encode(
    attempt: u64,
    deadline: u64,
    grace: u64,
    arguments: &[CString],
    variables: &[CString],
) -> Result<Vec<u8>, TooLong> {
    let strings = || arguments.iter().chain(variables);
    let bytes = HEAD + strings().map(|s| s.as_bytes_with_nul().len()).sum::<usize>();
    if bytes > MAX_ORDER_BYTES {
        return Err(TooLong { bytes });
    }
    let count = |n: usize| u32::try_from(n).map_err(|_| TooLong { bytes });
    let mut packet = Vec::with_capacity(bytes);
    packet.extend(u64::from(ORDER).to_le_bytes());
    packet.extend(attempt.to_le_bytes());
    packet.extend(deadline.to_le_bytes());
    packet.extend(grace.to_le_bytes());
    packet.extend(count(arguments.len())?.to_le_bytes());
    packet.extend(count(variables.len())?.to_le_bytes());
    strings().for_each(|s| packet.extend(s.as_bytes_with_nul()));
    Ok(packet)
}

/// An order as the keeper reads it, still in the packet's memory.
#[derive(Debug, Eq, PartialEq)]
pub struct Order<'packet> {
    /// The attempt's number, for what is said about it later. Not its tag: the executor counts.
    pub attempt: u64,
    /// When the work must be over, on `CLOCK_BOOTTIME`, in nanoseconds.
    pub deadline: u64,
    /// What the deadline leaves the work between `SIGTERM` and `SIGKILL`, in nanoseconds.
    pub grace: u64,
    /// The program's path and its arguments.
    pub arguments: Vec<&'packet CStr>,
    /// The whole environment.
    pub variables: Vec<&'packet CStr>,
}

impl<'packet> Order<'packet> {
    /// Reads a packet; `None` if it is not an order with at least a program.
    #[must_use]
    pub fn decode(packet: &'packet [u8]) -> Option<Self> {
        let (head, mut rest) = packet.split_at_checked(HEAD)?;
        let long = |at: usize| Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?));
        let short = |at: usize| Some(u32::from_le_bytes(head[at..at + 4].try_into().ok()?));
        let mut strings = |count: u32| {
            (0..count)
                .map(|_| {
                    let string = CStr::from_bytes_until_nul(rest).ok()?;
                    rest = &rest[string.to_bytes_with_nul().len()..];
                    Some(string)
                })
                .collect::<Option<Vec<_>>>()
        };
        let (arguments, variables) = (strings(short(32)?)?, strings(short(36)?)?);
        let [kind, attempt, deadline, grace] = [long(0)?, long(8)?, long(16)?, long(24)?];
        let whole = kind == u64::from(ORDER) && rest.is_empty() && !arguments.is_empty();
        whole.then_some(Self { attempt, deadline, grace, arguments, variables })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<CString> {
        list.iter().map(|s| CString::new(*s).unwrap()).collect()
    }

    #[test]
    fn an_order_survives_the_socket() {
        let arguments = strings(&["/bin/echo", "", "a b"]);
        let variables = strings(&["PATH=/bin", "EMPTY="]);
        let packet = encode(5, 7, 9, &arguments, &variables).unwrap();
        let order = Order::decode(&packet).unwrap();
        assert_eq!((order.attempt, order.deadline, order.grace), (5, 7, 9));
        assert!(order.arguments.iter().copied().eq(arguments.iter().map(CString::as_c_str)));
        assert!(order.variables.iter().copied().eq(variables.iter().map(CString::as_c_str)));
    }

    #[test]
    fn a_damaged_order_is_refused() {
        let packet = encode(5, 7, 9, &strings(&["/bin/true"]), &strings(&["A=1"])).unwrap();
        for end in 0..packet.len() {
            assert_eq!(Order::decode(&packet[..end]), None, "cut at {end}");
        }
        let mut other = packet.clone();
        other[0] = 2;
        assert_eq!(Order::decode(&other), None);
        let longer = [packet.as_slice(), b"x"].concat();
        assert_eq!(Order::decode(&longer), None);
        let nothing_to_run = encode(5, 7, 9, &[], &[]).unwrap();
        assert_eq!(Order::decode(&nothing_to_run), None);
    }

    #[test]
    fn an_order_that_no_packet_holds_is_refused() {
        let long = strings(&["x".repeat(MAX_ORDER_BYTES).as_str()]);
        assert_eq!(encode(0, 0, 0, &long, &[]), Err(TooLong { bytes: 40 + MAX_ORDER_BYTES + 1 }));
    }
}
