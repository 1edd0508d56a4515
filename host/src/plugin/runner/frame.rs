//! What crosses the socket between host and runner: one packet is one frame, so there is no partial one
//! and nothing to find the start of again.
//!
//! ```text
//! magic u32 │ kind u8 │ flags u8 │ verb u8 │ 0 u8 │ id u64 │ len u32 │ 0 u32 │ payload
//! ```
//!
//! Native byte order, and the verb as its place in [`Verb::ALL`]: both ends are one binary, and the
//! greeting says so.

use longshore_plugin_api::wire::Verb;

/// The bytes before the payload.
pub(super) const HEADER: usize = 24;
/// The most that travels in a packet, header and payload; what is longer travels in a file beside it.
pub(super) const MAX_PACKET: usize = 64 << 10;
/// The most of an event: it travels in a packet, or a plugin could fill the memory of the host with few.
pub(super) const MAX_EVENT: usize = MAX_PACKET - HEADER;
/// The most that a payload may be: parameters of 16 MiB, escaped, and a thousand handles of 64 KiB.
pub(super) const MAX_PAYLOAD: usize = 128 << 20;

/// `LSR1`, as it stands in memory.
const MAGIC: u32 = u32::from_ne_bytes(*b"LSR1");
const NO_VERB: u8 = u8::MAX;
/// The payload is in the file that came with the packet.
const APART: u8 = 1;

macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident = $code:literal;)+) => {
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Kind { $($(#[$doc])+ $kind = $code,)+ }

        impl Kind {
            fn parse(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$kind),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// The first frame of either side.
    Hello = 1;
    /// To the runner: load a library.
    Load = 2;
    /// To the runner: make an executor of it.
    Open = 3;
    /// To the runner: a verb and its payload.
    Call = 4;
    /// To the runner: nobody waits for that answer any more.
    Drop = 5;
    /// To the host: what a call has come to.
    Answer = 6;
    /// To the host: the error that a call has come to.
    Fail = 7;
    /// To the host: a log record.
    Log = 8;
    /// To the host: how far the work of an attempt has got.
    Progress = 9;
    /// To the runner: so many (`id`) events have been taken.
    Credit = 10;
}

/// What comes before a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) verb: Option<Verb>,
    pub(super) id: u64,
    /// Of the payload, wherever it is.
    pub(super) len: u32,
    pub(super) apart: bool,
}

/// A frame that has arrived.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) verb: Option<Verb>,
    pub(super) id: u64,
    pub(super) payload: String,
}

/// The other side does not keep to the protocol: its memory is damaged, or somebody else writes to its
/// socket. Nothing that it says can be believed any more.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Violation(pub(super) String);

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let verb = self.verb.and_then(|verb| Verb::ALL.iter().position(|known| *known == verb));
        let verb = verb.and_then(|at| u8::try_from(at).ok()).unwrap_or(NO_VERB);
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC.to_ne_bytes());
        bytes[4..8].copy_from_slice(&[
            self.kind as u8,
            if self.apart { APART } else { 0 },
            verb,
            0,
        ]);
        bytes[8..16].copy_from_slice(&self.id.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.len.to_ne_bytes());
        bytes
    }

    /// The header of a packet, and the rest of it.
    pub(super) fn decode(packet: &[u8]) -> Result<(Self, &[u8]), Violation> {
        let no = |why: String| Err(Violation(why));
        let Some((header, rest)) = packet.split_first_chunk::<HEADER>() else {
            return no(format!("a packet of {} bytes", packet.len()));
        };
        let u32_at = |at: usize| {
            u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (magic, zero) = (u32_at(0), u32_at(20));
        let [kind, flags, verb, reserved] = [header[4], header[5], header[6], header[7]];
        if magic != MAGIC {
            return no(format!("a packet that starts {:02x?}", &header[..4]));
        }
        let Some(kind) = Kind::parse(kind) else { return no(format!("a frame of kind {kind}")) };
        if flags & !APART != 0 || reserved != 0 || zero != 0 {
            return no(format!("a frame with the flags {:02x?}", &header[4..8]));
        }
        let verb = match verb {
            NO_VERB => None,
            at => match Verb::ALL.get(usize::from(at)) {
                Some(verb) => Some(*verb),
                None => return no(format!("a frame of verb {at}")),
            },
        };
        if (kind == Kind::Call) != verb.is_some() {
            return no(format!("a {kind:?} with the verb {verb:?}"));
        }
        let mut id = [0; 8];
        id.copy_from_slice(&header[8..16]);
        let (id, len, apart) = (u64::from_ne_bytes(id), u32_at(16), flags & APART != 0);
        // In a packet the length is said twice, so that a torn write shows.
        let fits = if apart { len as usize <= MAX_PAYLOAD } else { len as usize == rest.len() };
        if !fits || apart && !rest.is_empty() {
            return no(format!("a frame that says {len} bytes, with {}", rest.len()));
        }
        Ok((Self { kind, verb, id, len, apart }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Header {
        Header { kind: Kind::Call, verb: Some(Verb::Wait), id: 7, len: 2, apart: false }
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let credit = Header { kind: Kind::Credit, verb: None, id: u64::MAX, len: 0, apart: false };
        let apart = Header { len: MAX_PAYLOAD as u32, apart: true, ..call() };
        for (header, payload) in [(call(), &b"{}"[..]), (credit, b""), (apart, b"")] {
            let packet = [&header.encode()[..], payload].concat();
            assert_eq!(Header::decode(&packet), Ok((header, payload)));
        }
    }

    #[test]
    fn every_verb_has_a_place_of_its_own() {
        for &verb in Verb::ALL {
            let header = Header { verb: Some(verb), len: 0, ..call() };
            assert_eq!(Header::decode(&header.encode()).unwrap().0.verb, Some(verb));
        }
    }

    #[test]
    fn a_frame_that_makes_no_sense_is_named() {
        let good = [&call().encode()[..], b"{}"].concat();
        let with = |at: usize, byte: u8| {
            let mut packet = good.clone();
            packet[at] = byte;
            Header::decode(&packet).unwrap_err().0
        };
        assert_eq!(with(0, b'X'), "a packet that starts [58, 53, 52, 31]");
        assert_eq!(with(4, 99), "a frame of kind 99");
        assert_eq!(with(4, Kind::Answer as u8), "a Answer with the verb Some(Wait)");
        assert_eq!(with(5, 2), "a frame with the flags [04, 02, 01, 00]");
        assert_eq!(with(6, 200), "a frame of verb 200");
        assert_eq!(with(6, NO_VERB), "a Call with the verb None");
        assert_eq!(with(16, 3), "a frame that says 3 bytes, with 2");
        assert_eq!(with(20, 1), "a frame with the flags [04, 00, 01, 00]");
        let truncated = Header::decode(&good[..HEADER - 1]).unwrap_err();
        assert_eq!(truncated.0, "a packet of 23 bytes");
        let huge = Header { len: u32::MAX, apart: true, ..call() };
        let huge = Header::decode(&huge.encode()).unwrap_err();
        assert_eq!(huge.0, "a frame that says 4294967295 bytes, with 0");
    }
}
