//! The order for one attempt: what the executor sends the nursery, in one packet.
//!
//! ```text
//!  deadline u64 │ grace u64 │ arguments u32 │ variables u32 │ strings, each ended by NUL
//! ```
//!
//! Numbers are little endian. Times are nanoseconds; the deadline is on `CLOCK_BOOTTIME`, which goes
//! on counting while the machine sleeps. Three descriptors travel with the packet, in this order: the
//! control socket, the attempt's directory, and its `exit` file, locked. A packet arrives whole or not
//! at all, so an executor that gives up halfway cannot put the stream out of step.

use std::ffi::{CStr, CString};

/// The longest order, in bytes: the arguments and the environment of a job together.
pub const MAX_ORDER_BYTES: usize = 128 * 1024;

/// How many descriptors travel with an order.
pub const DESCRIPTORS: usize = 3;

const HEAD: usize = 24;

/// The order is longer than [`MAX_ORDER_BYTES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLong {
    /// How long it would be.
    pub bytes: usize,
}

/// Writes an order. `arguments` starts with the program's path; `variables` are `NAME=value`.
///
/// # Errors
///
/// [`TooLong`].
pub fn encode(
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
    packet.extend(deadline.to_le_bytes());
    packet.extend(grace.to_le_bytes());
    packet.extend(count(arguments.len())?.to_le_bytes());
    packet.extend(count(variables.len())?.to_le_bytes());
    strings().for_each(|s| packet.extend(s.as_bytes_with_nul()));
    Ok(packet)
}

/// An order as the nursery reads it, still in the packet's memory.
#[derive(Debug, Eq, PartialEq)]
pub struct Order<'packet> {
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
        let arguments = strings(short(16)?)?;
        let variables = strings(short(20)?)?;
        let whole = rest.is_empty() && !arguments.is_empty();
        whole.then_some(Self { deadline: long(0)?, grace: long(8)?, arguments, variables })
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
        let packet = encode(7, 9, &arguments, &variables).unwrap();
        let order = Order::decode(&packet).unwrap();
        assert_eq!((order.deadline, order.grace), (7, 9));
        assert!(order.arguments.iter().copied().eq(arguments.iter().map(CString::as_c_str)));
        assert!(order.variables.iter().copied().eq(variables.iter().map(CString::as_c_str)));
    }

    #[test]
    fn a_damaged_order_is_refused() {
        let packet = encode(7, 9, &strings(&["/bin/true"]), &strings(&["A=1"])).unwrap();
        for end in 0..packet.len() {
            assert_eq!(Order::decode(&packet[..end]), None, "cut at {end}");
        }
        let longer = [packet.as_slice(), b"x"].concat();
        assert_eq!(Order::decode(&longer), None);
        let nothing_to_run = encode(7, 9, &[], &[]).unwrap();
        assert_eq!(Order::decode(&nothing_to_run), None);
    }

    #[test]
    fn an_order_that_no_packet_holds_is_refused() {
        let long = strings(&["x".repeat(MAX_ORDER_BYTES).as_str()]);
        assert_eq!(encode(0, 0, &long, &[]), Err(TooLong { bytes: 24 + MAX_ORDER_BYTES + 1 }));
    }
}
