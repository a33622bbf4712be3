//! JSON Pointers (RFC 6901) and the tree that several of them make over one document.

use super::text::Unescaped;

/// A JSON Pointer, unescaped; never the empty one, which would be the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    tokens: Vec<String>,
}

impl Pointer {
    /// Parses `/a/b` with the escapes `~0` for `~` and `~1` for `/` (RFC 6901, section 3).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("the JSON Pointer `{text}` must start with `/`"));
        };
        let tokens = path.split('/').map(unescape).collect::<Option<_>>();
        tokens.map(|tokens| Self { tokens }).ok_or_else(|| {
            format!("the JSON Pointer `{text}` has a `~` that is neither `~0` (for `~`) nor `~1` (for `/`)")
        })
    }
}

fn unescape(token: &str) -> Option<String> {
    let mut pieces = token.split('~');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // Each piece after a `~` starts with the digit of its escape.
        match piece.as_bytes().first() {
            Some(b'0') => out.push('~'),
            Some(b'1') => out.push('/'),
            _ => return None,
        }
        out.push_str(&piece[1..]);
    }
    Some(out)
}

/// An array index as RFC 6901, section 4, has it: digits without leading zeros. Any other token is only a name.
fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    (canonical && token.bytes().all(|b| b.is_ascii_digit()))
        .then(|| token.parse().ok())
        .flatten()
}

/// The pointers wanted from one document, merged, so that a single pass finds them all.
#[derive(Debug, Default)]
pub(super) struct Paths {
    pub(super) root: Node,
    slots: usize,
}

/// A place in the document on the way to something wanted.
#[derive(Debug, Default)]
pub(super) struct Node {
    children: Vec<Child>,
    /// Where to keep the value found here, when it is wanted itself.
    pub(super) slot: Option<usize>,
    /// The slots of all below it.
    pub(super) below: Vec<usize>,
}

#[derive(Debug)]
struct Child {
    name: String,
    outline: Outline,
    index: Option<usize>,
    node: Node,
}

impl Paths {
    /// Adds a pointer and returns its slot; equal pointers share one.
    pub(super) fn add(&mut self, pointer: &Pointer) -> usize {
        if let Some(slot) = self.find(pointer) {
            return slot;
        }
        let slot = self.slots;
        self.slots += 1;
        let mut node = &mut self.root;
        for token in &pointer.tokens {
            node.below.push(slot);
            node = node.child_or_new(token);
        }
        node.slot = Some(slot);
        slot
    }

    fn find(&self, pointer: &Pointer) -> Option<usize> {
        let step = |node: &'_ Node, token: &String| node.children.iter().position(|c| c.name == *token);
        let mut node = &self.root;
        for token in &pointer.tokens {
            node = &node.children[step(node, token)?].node;
        }
        node.slot
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.slots
    }

    /// Whether nothing is wanted, so that the document need not be read at all.
    pub(super) fn is_empty(&self) -> bool {
        self.slots == 0
    }
}

impl Node {
    fn child_or_new(&mut self, token: &str) -> &mut Self {
        let at = self
            .children
            .iter()
            .position(|c| c.name == token)
            .unwrap_or_else(|| {
                self.children.push(Child {
                    name: token.to_owned(),
                    outline: Outline::of(token.as_bytes()),
                    index: array_index(token),
                    node: Self::default(),
                });
                self.children.len() - 1
            });
        &mut self.children[at].node
    }

    /// The wanted member of this name.
    #[inline(always)]
    pub(super) fn member(&self, name: &[u8]) -> Option<&Self> {
        let outline = Outline::of(name);
        self.children
            .iter()
            .find(|child| {
                child.outline == outline && (!outline.is_partial() || child.name.as_bytes() == name)
            })
            .map(|child| &child.node)
    }

    /// The wanted member of this name, written with escapes.
    pub(super) fn escaped_member(&self, raw: &str) -> Option<&Self> {
        self.children
            .iter()
            .find(|child| Unescaped::new(raw).eq(child.name.chars().map(Ok)))
            .map(|child| &child.node)
    }

    /// The wanted element of an array.
    #[inline]
    pub(super) fn element(&self, index: usize) -> Option<&Self> {
        self.children
            .iter()
            .find(|child| child.index == Some(index))
            .map(|child| &child.node)
    }

    /// Whether an array here could hold something wanted.
    pub(super) fn wants_elements(&self) -> bool {
        self.children.iter().any(|child| child.index.is_some())
    }
}

/// A name of up to sixteen bytes as two numbers, which are compared at once; of a longer one both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outline {
    first: u64,
    last: u64,
    length: usize,
}

impl Outline {
    #[inline(always)]
    fn of(name: &[u8]) -> Self {
        let (first, last) = if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            (
                u32::from_le_bytes(*first).into(),
                u32::from_le_bytes(*last).into(),
            )
        } else {
            let byte = |at: usize| name.get(at).copied().map_or(0, u64::from);
            (byte(0), byte(1) << 8 | byte(2))
        };
        Self {
            first,
            last,
            length: name.len(),
        }
    }

    /// Whether names with the same outline can still differ.
    #[inline(always)]
    fn is_partial(self) -> bool {
        self.length > 2 * size_of::<u64>()
    }
}
