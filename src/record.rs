//! What came from Kafka, as the pure stages see it: borrowed, and free of any client crate.

/// Read access to the headers of a record, in their order on the wire.
///
/// Kafka allows a name to occur more than once; as in the Java client's `lastHeader`, the last one counts.
pub trait Headers {
    /// The value of the last header of that name: `None` when there is none, `Some(None)` when its value is null.
    fn last(&self, name: &str) -> Option<Option<&[u8]>>;
}

/// A record without headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn last(&self, _name: &str) -> Option<Option<&[u8]>> {
        None
    }
}

/// Headers kept as plain pairs, for records that don't come straight from a client.
impl Headers for Vec<(String, Option<Vec<u8>>)> {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        self.iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_deref())
    }
}

/// One record, borrowed from wherever it is held.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The topic it was read from.
    pub topic: &'a str,
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset in that partition.
    pub offset: i64,
    /// Record timestamp in milliseconds since the Unix epoch; `None` when the topic has none.
    pub timestamp_ms: Option<i64>,
    /// The key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is Kafka's null, a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a dyn Headers,
}

impl std::fmt::Debug for Record<'_> {
    /// Coordinates and sizes only: keys and values are the users' data and don't belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}[{}]@{} (key {:?} bytes, value {:?} bytes)",
            self.topic,
            self.partition,
            self.offset,
            self.key.map(<[u8]>::len),
            self.value.map(<[u8]>::len)
        )
    }
}
