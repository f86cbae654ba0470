//! A TCP proxy in front of a database, which a test can cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Passes on what comes.
    Open,
    /// Ends every connection, and each new one at once.
    Cut,
    /// Takes connections and says nothing, as a host does that is lost on the way.
    Silent,
}

/// A proxy in front of the database of a URL.
pub struct Proxy {
    url: String,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that passes everything on.
    pub async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::listening(listener, url)
    }

    /// The same, reached by IPv6; none on a machine that has no IPv6.
    pub async fn by_ipv6(url: &str) -> Option<Self> {
        let listener = TcpListener::bind("[::1]:0").await.ok()?;
        Some(Self::listening(listener, url))
    }

    fn listening(listener: TcpListener, url: &str) -> Self {
        let (user, rest) = url
            .split_once('@')
            .unwrap_or_else(|| panic!("the URL names no user and no host"));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (target, database) = rest.split_at(end);
        let address: SocketAddr = listener.local_addr().expect("its address");
        let (line, state) = watch::channel(Line::Open);
        let task = tokio::spawn(serve(listener, target.to_owned(), state));
        Self {
            url: format!("{user}@{address}{database}"),
            line,
            task,
        }
    }

    /// The URL of the database behind the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends every connection and takes no new one.
    pub fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    /// Passes nothing on from now on, and ends nothing.
    pub fn fall_silent(&self) {
        self.line.send_replace(Line::Silent);
    }

    /// Passes on again what comes by new connections.
    pub fn mend(&self) {
        self.line.send_replace(Line::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: String, line: watch::Receiver<Line>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(pass(client, target.clone(), line.clone()));
    }
}

async fn pass(mut client: TcpStream, target: String, mut line: watch::Receiver<Line>) {
    let passing = async {
        if *line.borrow() == Line::Open {
            let mut database = TcpStream::connect(&target).await.expect("the database");
            // Either end may break off: that is what this is for.
            drop(copy_bidirectional(&mut client, &mut database).await);
            return;
        }
        std::future::pending().await
    };
    let mut changes = line.clone();
    tokio::select! {
        () = passing => return,
        state = changes.wait_for(|state| *state != Line::Open) => {
            if state.is_ok_and(|state| *state == Line::Cut) {
                return;
            }
        }
    }
    // Silent: held until the line changes, and given up then.
    drop(line.wait_for(|state| *state != Line::Silent).await);
}
