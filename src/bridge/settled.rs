//! What this process had settled of partitions that it lost.
//!
//! librdkafka 2.12 takes a heartbeat that crosses a new generation of the group for the loss of everything
//! (ILLEGAL_GENERATION, unconditionally), and the same partitions mostly come right back. What was settled and not
//! yet committed would be published again. So the frontier is remembered: if the partition comes back and nobody has
//! committed meanwhile, reading goes on there. Only records that this process has settled itself are passed over.

use std::collections::HashMap;
use std::sync::Arc;

use super::lane::Lane;
use crate::progress::Position;
use crate::source::assignment::Partition;
use crate::source::resolved::Resolved;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frontier {
    committed: Position,
    settled: Position,
}

/// The frontiers of lost partitions.
#[derive(Debug, Default)]
pub struct Settled(HashMap<(Arc<str>, i32), Frontier>);

impl Settled {
    /// The partition is lost.
    pub fn remember(&mut self, partition: &Partition<Lane>) {
        let frontier = Frontier {
            committed: partition.committed,
            settled: partition.progress.position(),
        };
        if frontier.settled > frontier.committed {
            self.0
                .insert((Arc::clone(&partition.topic), partition.number), frontier);
        }
    }

    /// A partition comes: reading goes on behind what was settled, if its commit is the one that was left.
    pub fn resume(&mut self, start: &mut Resolved) {
        let Some(frontier) = self.0.remove(&(Arc::clone(&start.topic), start.partition)) else {
            return;
        };
        if !start.fresh && start.position == frontier.committed && frontier.settled <= start.end {
            start.position = frontier.settled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(committed: i64, settled: i64) -> Settled {
        let frontier = Frontier {
            committed: Position(committed),
            settled: Position(settled),
        };
        Settled(HashMap::from([((Arc::from("a"), 0), frontier)]))
    }

    fn start(position: i64, end: i64) -> Resolved {
        Resolved {
            topic: Arc::from("a"),
            partition: 0,
            position: Position(position),
            committed: Position(position),
            note: Arc::from(""),
            end: Position(end),
            fresh: false,
            lost: 0,
            fenced: false,
        }
    }

    #[test]
    fn a_partition_that_comes_back_untouched_goes_on_behind_what_was_settled() {
        let mut start = start(10, 100);
        lost(10, 50).resume(&mut start);
        assert_eq!((start.position, start.committed), (Position(50), Position(10)));
    }

    #[test]
    fn a_commit_that_somebody_moved_counts() {
        for committed in [5, 30, 70] {
            let mut start = start(committed, 100);
            lost(10, 50).resume(&mut start);
            assert_eq!(start.position, Position(committed));
        }
    }

    #[test]
    fn a_log_that_was_made_anew_is_read_from_where_it_starts() {
        let mut shorter = start(10, 20);
        lost(10, 50).resume(&mut shorter);
        assert_eq!(shorter.position, Position(10));
        let mut fresh = Resolved {
            fresh: true,
            ..start(0, 100)
        };
        lost(0, 50).resume(&mut fresh);
        assert_eq!(fresh.position, Position(0));
    }
}
