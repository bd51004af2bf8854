//! Who is at the other end of a connection, and whether they may use the API.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::time::Duration;

use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longest wait for the name and the groups of a user: a directory service may be behind them.
/// Who cannot be looked up in time goes by the numbers that the kernel gives.
const LOOKUP_WITHIN: Duration = Duration::from_secs(2);

/// Who asks, as the kernel says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Process id, if the kernel knows it.
    pub pid: Option<i32>,
    /// User name, or the user id as text when it has none.
    pub name: String,
}

/// Who may use the API. Everybody else is refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admission {
    /// Ids of users.
    pub uids: BTreeSet<u32>,
    /// Ids of groups whose members may.
    pub gids: BTreeSet<u32>,
}

impl Admission {
    /// Who asks over a connection, and whether they are admitted.
    pub(crate) async fn identify(&self, stream: &UnixStream) -> std::io::Result<(Actor, bool)> {
        let peer = stream.peer_cred()?;
        let (uid, gid) = (peer.uid(), peer.gid());
        let wants_groups = !self.uids.contains(&uid) && !self.gids.contains(&gid);
        let lookup = tokio::task::spawn_blocking(move || look_up(uid, gid, wants_groups));
        // A lookup that fails or takes too long can only take rights away.
        let (name, groups) = match timeout(LOOKUP_WITHIN, lookup).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => (uid.to_string(), BTreeSet::new()),
        };
        let admitted = !wants_groups || groups.iter().any(|group| self.gids.contains(group));
        Ok((Actor { uid, gid, pid: peer.pid(), name }, admitted))
    }
}

/// The name of a user and, if wanted, the groups they are a member of.
fn look_up(uid: u32, gid: u32, wants_groups: bool) -> (String, BTreeSet<u32>) {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else {
        return (uid.to_string(), BTreeSet::new());
    };
    let mut groups = BTreeSet::new();
    if wants_groups && let Ok(name) = CString::new(user.name.clone()) {
        let found = getgrouplist(&name, Gid::from_raw(gid)).unwrap_or_default();
        groups.extend(found.into_iter().map(Gid::as_raw));
    }
    (user.name, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn identify(admission: &Admission) -> (Actor, bool) {
        let (one, _other) = UnixStream::pair().unwrap();
        admission.identify(&one).await.unwrap()
    }

    #[tokio::test]
    async fn a_listed_user_or_group_is_admitted_and_nobody_else() {
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let by_user = Admission { uids: BTreeSet::from([uid]), ..Admission::default() };
        let by_group = Admission { gids: BTreeSet::from([gid]), ..Admission::default() };
        let (actor, admitted) = identify(&by_user).await;
        assert!(admitted);
        assert_eq!((actor.uid, actor.gid), (uid, gid));
        assert!(!actor.name.is_empty());
        assert!(identify(&by_group).await.1);
        assert!(!identify(&Admission::default()).await.1);
    }
}
