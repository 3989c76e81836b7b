//! What a terminal shows in the end.

/// The lines on a terminal after a program has written this, without colours.
///
/// It knows the controls that progress is drawn with: back to the start of the line, up, and removing the line
/// (ECMA-48, sections 8.3.15, 8.3.22 and 8.3.41).
pub fn screen(written: &str) -> String {
    // How a terminal shows that the input has ended.
    let written = written.replace("^D\x08\x08", "");
    let mut lines = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut rest = written.chars();
    while let Some(next) = rest.next() {
        match next {
            '\n' => {
                row += 1;
                column = 0;
                if lines.len() == row {
                    lines.push(Vec::new());
                }
            }
            '\r' => column = 0,
            '\x1b' => {
                // Behind the bracket come the parameters, and a letter that says what to do.
                let mut sequence = String::new();
                for c in rest.by_ref().skip(1) {
                    sequence.push(c);
                    if c.is_alphabetic() {
                        break;
                    }
                }
                let count = sequence.trim_end_matches(char::is_alphabetic).parse();
                match sequence.chars().next_back() {
                    Some('A') => row = row.saturating_sub(count.unwrap_or(1)),
                    Some('K') if count == Ok(2) => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    _ => {}
                }
            }
            shown => {
                let line = &mut lines[row];
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = shown;
                column += 1;
            }
        }
    }
    let lines: Vec<String> = lines
        .into_iter()
        .map(|line| line.into_iter().collect::<String>().trim_end().to_owned())
        .collect();
    let text = lines.join("\n");
    let text = text.trim_end();
    if text.is_empty() {
        String::new()
    } else {
        format!("{text}\n")
    }
}
