//! Free TCP ports of loopback that stay ours while their owner is down.
//!
//! The kernel's own choice (port 0) comes from the range it also gives to outgoing connections.
//! A server of such a port that is killed and started again may find it taken, and a client that
//! retries in between can even connect to itself. So ports are taken from below that range, and a
//! UDP socket of the same number marks them as taken for every other process that asks here; the
//! kernel takes the mark back when the process ends, however it ends.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// First port handed out. Below are the ports that well-known servers use.
const FIRST: u16 = 12_000;
/// First port of outgoing connections where the kernel does not say; its default since Linux 2.6.
const OUTGOING_FIRST: u16 = 32_768;
/// How long a port of an earlier run is waited for: a killed server gives its port back only when
/// the kernel has taken all its memory back.
const KEPT_WITHIN: Duration = Duration::from_secs(2);
/// Pause between two looks at such a port.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// No port could be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// All of them are taken.
    #[error("no free port from {first} to {last} on loopback")]
    NoneFree {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
}

/// A port of 127.0.0.1 that nobody else is given while this exists.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _mark: UdpSocket,
}

impl Port {
    /// Takes any free port.
    pub(crate) fn reserve() -> Result<Self, PortError> {
        let last = last_port();
        let count = last - FIRST + 1;
        // Different for each call, so that processes that start together do not race for one port.
        let random = RandomState::new().build_hasher().finish();
        let start = u16::try_from(random % u64::from(count)).expect("a remainder of a u16");
        (0..count)
            .map(|step| {
                FIRST
                    + u16::try_from((u32::from(start) + u32::from(step)) % u32::from(count))
                        .expect("a remainder of a u16")
            })
            .find_map(Self::reserve_number)
            .ok_or(PortError::NoneFree { first: FIRST, last })
    }

    /// Takes the port that an earlier run had, if there was one and it is or soon becomes free;
    /// otherwise any. Blocks for [`KEPT_WITHIN`] at most.
    pub(crate) fn keep(number: Option<u16>) -> Result<Self, PortError> {
        let started = Instant::now();
        while let Some(number) = number
            && started.elapsed() < KEPT_WITHIN
        {
            if let Some(port) = Self::reserve_number(number) {
                return Ok(port);
            }
            thread::sleep(LOOK_PAUSE);
        }
        Self::reserve()
    }

    /// Takes port `number`, or nothing when it is taken.
    fn reserve_number(number: u16) -> Option<Self> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, number);
        let mark = UdpSocket::bind(address).ok()?;
        // A server that knows nothing of the marks may have it.
        TcpListener::bind(address).ok()?;
        Some(Self { number, _mark: mark })
    }

    /// The port's number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// The port as an address of loopback.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// The port before those of outgoing connections.
fn last_port() -> u16 {
    let outgoing_first = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(OUTGOING_FIRST);
    // A kernel that gives out nearly everything leaves no room below; then any port must do.
    if outgoing_first > FIRST + 1_000 { outgoing_first - 1 } else { u16::MAX }
}
