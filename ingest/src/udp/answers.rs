//! Acknowledgements on their way back, on a thread of their own: neither the log's nor a receiving one waits for the
//! network.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crossbeam::channel::{Sender, bounded};

use crate::limits::ANSWERS_WAITING;
use crate::wire::binary::ACKNOWLEDGEMENT;

/// What is sent to whom.
pub(super) type Answer = (SocketAddr, [u8; ACKNOWLEDGEMENT]);

/// Where answers are handed over. Its thread ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Answers(Sender<Vec<Answer>>);

impl Answers {
    /// Starts the thread that answers from a socket, which its receiving thread goes on using.
    pub(super) fn start(socket: &UdpSocket) -> io::Result<Self> {
        let (sender, waiting) = bounded::<Vec<Answer>>(ANSWERS_WAITING);
        let name = format!("udp-ack-{}", socket.local_addr()?.port());
        let socket = socket.try_clone()?;
        let run = move || {
            for (to, bytes) in waiting.into_iter().flatten() {
                // Who hears nothing sends its positions again.
                let _ = socket.send_to(&bytes, to);
            }
        };
        std::thread::Builder::new().name(name).spawn(run)?;
        Ok(Self(sender))
    }

    /// Has them sent, or drops them while too many wait. Never waits.
    pub(super) fn send(&self, answers: Vec<Answer>) {
        drop(self.0.try_send(answers));
    }
}
