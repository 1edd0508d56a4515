use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

fn channels() -> (Channel, Channel) {
    let (near, far) = pair().unwrap();
    let channel = |socket| Channel::new(socket, std::env::temp_dir()).unwrap();
    (channel(near), channel(far))
}

fn raw() -> (OwnedFd, Channel) {
    let (near, far) = pair().unwrap();
    (near, Channel::new(far, std::env::temp_dir()).unwrap())
}

async fn refused(channel: &Channel) -> String {
    channel.receive(&mut packet()).await.unwrap_err().0
}

fn put(socket: &OwnedFd, bytes: &[u8], files: &[&OwnedFd]) {
    let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(9))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}

#[tokio::test]
async fn a_payload_of_any_length_arrives() {
    let (near, far) = channels();
    let mut packet = packet();
    let edge = MAX_PACKET - HEADER;
    for len in [0, 1, edge - 1, edge, edge + 1, 16 << 20] {
        let payload = "x".repeat(len);
        near.send(Kind::Call, 3, Some(Verb::Submit), &payload).unwrap();
        let frame = tokio::select! {
            frame = far.receive(&mut packet) => frame.unwrap().unwrap(),
            unsent = near.pump() => panic!("{unsent}"),
        };
        assert_eq!((frame.kind, frame.verb, frame.id), (Kind::Call, Some(Verb::Submit), 3));
        assert!(frame.payload == payload, "{len} bytes");
    }
    let long = "x".repeat(MAX_PAYLOAD + 1);
    assert!(matches!(near.send(Kind::Answer, 1, None, &long), Err(Unsent::TooLong(_))));
}

#[tokio::test]
async fn nobody_waits_for_a_socket_that_is_full_and_the_order_stays() {
    let (near, far) = channels();
    let payload = "x".repeat(10_000);
    let sent = 1000;
    for id in 1..=sent {
        near.send(Kind::Answer, id, None, &payload).unwrap();
    }
    assert!(!near.is_empty(), "10 MB fit into no socket");
    assert!(near.take_back(sent - 1), "it has not left");
    assert!(!near.take_back(1), "it has");
    let mut packet = packet();
    let receive = async {
        let mut ids = Vec::new();
        while ids.len() < sent as usize - 1 {
            ids.push(far.receive(&mut packet).await.unwrap().unwrap().id);
        }
        ids
    };
    let ids = tokio::select! { ids = receive => ids, unsent = near.pump() => panic!("{unsent}") };
    assert_eq!(ids, (1..=sent).filter(|id| *id != sent - 1).collect::<Vec<_>>());
    assert!(near.is_empty());
}

#[tokio::test]
async fn an_end_is_an_end_whatever_was_not_read() {
    let (near, far) = channels();
    near.send(Kind::Answer, 1, None, "null").unwrap();
    far.send(Kind::Answer, 1, None, "null").unwrap();
    drop(far);
    let mut packet = packet();
    assert!(near.receive(&mut packet).await.unwrap().is_some(), "what was said is heard");
    assert!(near.receive(&mut packet).await.unwrap().is_none());
    assert!(matches!(near.send(Kind::Answer, 2, None, ""), Err(Unsent::Gone)));
    let (near, far) = channels();
    near.close();
    assert!(far.receive(&mut packet).await.unwrap().is_none());
    far.send(Kind::Answer, 9, None, "bye").unwrap();
    assert_eq!(near.receive(&mut packet).await.unwrap().unwrap().payload, "bye");
}

#[tokio::test]
async fn a_packet_that_makes_no_sense_is_a_violation() {
    let file = payload::write("null", std::path::Path::new("/nonexistent")).unwrap();
    let header = |len, apart| Header { kind: Kind::Answer, verb: None, id: 1, len, apart };
    let inside = [&header(4, false).encode()[..], b"null"].concat();

    let (socket, channel) = raw();
    put(&socket, b"GET / HTTP/1.1\r\nHost: example.com\r\n", &[]);
    assert!(refused(&channel).await.starts_with("a packet that starts"));
    put(&socket, &inside[..10], &[]);
    assert_eq!(refused(&channel).await, "a packet of 10 bytes");
    put(&socket, &inside[..HEADER + 3], &[]);
    assert_eq!(refused(&channel).await, "a frame that says 4 bytes, with 3");
    put(&socket, &inside, &[&file]);
    assert_eq!(refused(&channel).await, "a Answer with 1 files");
    put(&socket, &header(4, true).encode(), &[]);
    assert_eq!(refused(&channel).await, "a Answer with 0 files");
    put(&socket, &header(4, true).encode(), &[&file, &file]);
    assert_eq!(refused(&channel).await, "a Answer with 2 files");
    put(&socket, &header(4, true).encode(), &[&file; 9]);
    assert!(refused(&channel).await.starts_with("a packet of more than"));
    put(&socket, &header(5, true).encode(), &[&file]);
    assert_eq!(refused(&channel).await, "a payload of 5 bytes in a file of 4");
    put(&socket, &[&header(2, false).encode()[..], b"\xff\xfe"].concat(), &[]);
    assert!(refused(&channel).await.starts_with("a payload that is no text"));
    put(&socket, &vec![0; MAX_PACKET + 1], &[]);
    assert!(refused(&channel).await.starts_with("a packet of more than"));
    // None of it is in the way of what is good.
    put(&socket, &inside, &[]);
    assert_eq!(channel.receive(&mut packet()).await.unwrap().unwrap().payload, "null");
}

/// This test lets the one in a process of its own run out of descriptors.
#[tokio::test]
async fn an_answer_for_which_there_is_no_descriptor_fails_its_call_and_nothing_else() {
    const SCARCE: &str = "CHANNEL_TEST_SCARCE";
    if std::env::var_os(SCARCE).is_none() {
        let name = "an_answer_for_which_there_is_no_descriptor_fails_its_call_and_nothing_else";
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args([&format!("plugin::runner::channel::tests::{name}"), "--exact"])
            .env(SCARCE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        return assert!(said.contains("1 passed"), "{said}");
    }
    let (near, far) = channels();
    let mut packet = packet();
    let long = "x".repeat(1 << 20);
    near.send(Kind::Answer, 1, None, &long).unwrap();
    near.send(Kind::Answer, 2, None, "short").unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    let lost = far.receive(&mut packet).await.unwrap().unwrap();
    assert_eq!((lost.kind, lost.id), (Kind::Fail, 1));
    let error: Error = serde_json::from_str(&lost.payload).unwrap();
    assert_eq!(error.kind, ErrorKind::Exhausted);
    assert_eq!(far.receive(&mut packet).await.unwrap().unwrap().payload, "short");
    setrlimit(Resource::Nofile, before).unwrap();
    near.send(Kind::Answer, 3, None, &long).unwrap();
    assert!(far.receive(&mut packet).await.unwrap().unwrap().payload == long);
}
