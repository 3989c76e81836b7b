//! Sets of characters (`[a-c]`), in a form that gix-glob and git read alike.

/// The same glob, in whose sets each character that stands for itself is escaped. gix-glob 0.29
/// loses its place at a `[:` that begins no class, and forgets an escaped character as the start
/// of a range if that is the one it looks for.
pub(crate) fn escaped(glob: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(glob.len());
    let mut rest = glob;
    while let [first, after @ ..] = rest {
        escaped.push(*first);
        rest = after;
        match (first, after) {
            (b'\\', [next, after @ ..]) => {
                escaped.push(*next);
                rest = after;
            }
            (b'[', _) => rest = escape_set(after, &mut escaped),
            _ => {}
        }
    }
    escaped
}

/// Goes through a set, from behind the bracket that opens it. Returns what follows it.
fn escape_set<'a>(set: &'a [u8], escaped: &mut Vec<u8>) -> &'a [u8] {
    let mut rest = set;
    if let [negation @ (b'!' | b'^'), after @ ..] = rest {
        escaped.push(*negation);
        rest = after;
    }
    let mut is_first = true;
    // Whether a range can start with what came last.
    let mut is_start = false;
    loop {
        rest = match rest {
            [] => return rest,
            [b']', after @ ..] if !is_first => {
                escaped.push(b']');
                return after;
            }
            [b'-', b'\\', end, after @ ..] if is_start => {
                escaped.extend([b'-', b'\\', *end]);
                is_start = false;
                after
            }
            [b'-', end, after @ ..] if is_start && *end != b']' => {
                escaped.extend([b'-', b'\\', *end]);
                is_start = false;
                after
            }
            [b'[', b':', name @ ..] if let Some(length) = class(name) => {
                escaped.extend_from_slice(b"[:");
                escaped.extend_from_slice(&name[..length]);
                is_start = false;
                &name[length..]
            }
            [b'\\', itself, after @ ..] | [itself, after @ ..] => {
                escaped.extend([b'\\', *itself]);
                is_start = true;
                after
            }
        };
        is_first = false;
    }
}

/// The length of the name of a class and the `:]` after it.
fn class(name: &[u8]) -> Option<usize> {
    let length = name.iter().position(|byte| *byte == b']')?;
    name[..length].ends_with(b":").then_some(length + 1)
}
