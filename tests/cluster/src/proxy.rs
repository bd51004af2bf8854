//! A TCP proxy that stands for a bad network.
//!
//! It runs on its own thread, so it can be shared by tests with different runtimes. Its address
//! stays the same over every cut.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::background::Background;
use crate::port::{Port, PortError};

/// Read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks under way in one direction of one connection: 16 MiB, more than loopback's own buffers
/// and enough to keep the bandwidth up under a delay of seconds.
const CHUNKS_MAX: usize = 1_024;
/// Cuts and restorations asked for at once. Askers over it wait.
const COMMANDS_MAX: usize = 16;

/// How a connection is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// Open connections end at once and new ones are refused: a program that is gone.
    Refuse,
    /// Open connections end at once; new ones are accepted and then nothing comes: a machine that
    /// came back without its program's answers.
    Blackhole,
    /// Nothing ends and nothing passes, in both directions, for open and new connections: a cable
    /// that is out. After the restoration everything held back goes on.
    Silence,
}

/// A proxy could not be started or restored.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No port.
    #[error("no port for the proxy")]
    Port(#[from] PortError),
    /// Its port cannot be listened on.
    #[error("the proxy cannot listen on {address}")]
    Listen {
        /// The proxy's address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No thread for it.
    #[error("no thread for the proxy")]
    Thread(#[source] io::Error),
}

/// A proxy in front of one address. Dropping it ends all connections.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    commands: mpsc::Sender<Command>,
    flow: watch::Sender<Flow>,
    accepted: Arc<AtomicU64>,
    _background: Background,
}

/// How bytes pass at the moment.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    delay: Duration,
    silent: bool,
}

/// `None` restores.
#[derive(Debug)]
struct Command {
    cut: Option<Cut>,
    done: oneshot::Sender<io::Result<()>>,
}

impl Proxy {
    /// Starts a proxy in front of `target`, which need not be there yet.
    pub fn start(target: SocketAddr) -> Result<Self, ProxyError> {
        let port = Port::reserve()?;
        let address = port.address();
        let listen_error = |source| ProxyError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(listen_error)?;
        listener.set_nonblocking(true).map_err(listen_error)?;
        let background = Background::start("proxy").map_err(ProxyError::Thread)?;
        let listener = {
            let _runtime = background.handle().enter();
            TcpListener::from_std(listener).map_err(listen_error)?
        };
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let flow = watch::Sender::new(Flow::default());
        let accepted = Arc::new(AtomicU64::new(0));
        let server = Server {
            address,
            target,
            listener: Some(listener),
            connections: JoinSet::new(),
            flow: flow.clone(),
            accepted: Arc::clone(&accepted),
        };
        background.handle().spawn(server.run(receiver));
        Ok(Self { port, commands, flow, accepted, _background: background })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Holds back every byte for `delay`, in each direction; the bandwidth stays. A round trip
    /// takes twice that longer.
    pub fn set_delay(&self, delay: Duration) {
        self.flow.send_modify(|flow| flow.delay = delay);
    }

    /// Cuts; when it returns, the cut holds. A later cut replaces an earlier one.
    pub async fn cut(&self, how: Cut) -> Result<(), ProxyError> {
        self.command(Some(how)).await
    }

    /// Ends the cut, if there is one.
    pub async fn restore(&self) -> Result<(), ProxyError> {
        self.command(None).await
    }

    async fn command(&self, cut: Option<Cut>) -> Result<(), ProxyError> {
        let (done, result) = oneshot::channel();
        let sent = self.commands.send(Command { cut, done }).await;
        sent.expect("the proxy's task lasts as long as the proxy");
        let result = result.await.expect("the proxy's task answers every command");
        result.map_err(|source| ProxyError::Listen { address: self.address(), source })
    }
}

struct Server {
    address: SocketAddr,
    target: SocketAddr,
    listener: Option<TcpListener>,
    connections: JoinSet<()>,
    flow: watch::Sender<Flow>,
    accepted: Arc<AtomicU64>,
}

impl Server {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            // Each branch is cancel-safe by its documentation.
            tokio::select! {
                command = commands.recv() => {
                    let Some(Command { cut, done }) = command else { return };
                    let result = self.turn(cut).await;
                    // The asker may have given up waiting; the cut holds all the same.
                    let _ = done.send(result);
                }
                accepted = accept(self.listener.as_ref()) => {
                    // A connection that ended before it was accepted concerns nobody.
                    if let Ok((client, _)) = accepted {
                        self.accepted.fetch_add(1, Ordering::Relaxed);
                        self.connections.spawn(carry(client, self.target, self.flow.subscribe()));
                    }
                }
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    async fn turn(&mut self, cut: Option<Cut>) -> io::Result<()> {
        let silent = matches!(cut, Some(Cut::Blackhole | Cut::Silence));
        self.flow.send_modify(|flow| flow.silent = silent);
        if cut == Some(Cut::Refuse) {
            self.listener = None;
        } else if self.listener.is_none() {
            self.listener = Some(TcpListener::bind(self.address).await?);
        }
        if matches!(cut, Some(Cut::Refuse | Cut::Blackhole)) {
            self.connections.shutdown().await;
        }
        Ok(())
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Carries one connection until both sides have ended it.
async fn carry(client: TcpStream, target: SocketAddr, mut flow: watch::Receiver<Flow>) {
    if passing(&mut flow).await.is_err() {
        return;
    }
    // A target that refuses shows as a connection that ends at once.
    let Ok(server) = TcpStream::connect(target).await else { return };
    // Without it the kernel would add delays of its own.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // One that breaks, breaks in both directions; one that ends, ends in its own.
    let _ = tokio::try_join!(
        pump(from_client, to_server, flow.clone()),
        pump(from_server, to_client, flow.clone())
    );
}

/// Carries one direction. Bytes are read as they come and written when they are due, so a delay
/// does not limit the bandwidth.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
) -> io::Result<()> {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let delay = flow.clone();
    let reading = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = from.read(&mut buffer).await?;
            let at = Instant::now() + delay.borrow().delay;
            if count == 0 || queue.send((at, buffer[..count].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            passing(&mut flow).await?;
            to.write_all(&bytes).await?;
        }
        passing(&mut flow).await?;
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

/// Waits until bytes may pass; an error when the proxy is gone.
async fn passing(flow: &mut watch::Receiver<Flow>) -> io::Result<()> {
    flow.wait_for(|flow| !flow.silent).await.map(drop).map_err(io::Error::other)
}
