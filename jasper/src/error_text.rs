//! The words of errors, cut to what every store takes.

use std::borrow::Cow;
use std::fmt;

/// The most bytes of the text of an error.
pub(crate) const LONGEST: usize = 8 * 1024;

/// The most bytes of the name of an error's type.
pub(crate) const LONGEST_TYPE: usize = 256;

/// Room for the words that say how much was left out.
const MARK: usize = 48;

/// Who writes more than this is not asked for the rest.
const PATIENCE: usize = 16 * 1024 * 1024;

/// The text of an error; where it is too long, its beginning and how much was left out.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, LONGEST)
}

/// The name of an error's type, likewise.
pub(crate) fn cut_type(name: &str) -> Cow<'_, str> {
    cut_to(name, LONGEST_TYPE)
}

fn cut_to(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let kept = &text[..text.floor_char_boundary(most - MARK)];
    Cow::Owned(format!("{kept}… ({} bytes left out)", text.len() - kept.len()))
}

/// Words of another process, so that they stay on their line of a log or a terminal: characters
/// that control one, or the direction in which it is read, are shown by their escapes.
pub(crate) fn on_one_line(words: &str) -> Cow<'_, str> {
    if !words.contains(is_control) {
        return Cow::Borrowed(words);
    }
    let mut shown = String::with_capacity(words.len() + MARK);
    for character in words.chars() {
        if is_control(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, separators of lines, and marks that change the direction of what follows.
pub(crate) fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}')
}

/// Takes words that are being written, and keeps as many as may be stored.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    text: String,
    left_out: usize,
}

impl Cutter {
    /// Whether it takes no more.
    pub(crate) const fn is_full(&self) -> bool {
        self.left_out > PATIENCE
    }

    /// What was written, cut.
    pub(crate) fn finish(self) -> String {
        if self.left_out == 0 {
            return cut(&self.text).into_owned();
        }
        let kept = &self.text[..self.text.floor_char_boundary(LONGEST - MARK)];
        let left_out = self.left_out + self.text.len() - kept.len();
        let or_more = if self.left_out > PATIENCE { " or more" } else { "" };
        format!("{kept}… ({left_out} bytes{or_more} left out)")
    }
}

impl fmt::Write for Cutter {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.text.len());
        let kept = match self.left_out {
            0 => words.floor_char_boundary(room),
            _ => 0,
        };
        self.text.push_str(&words[..kept]);
        self.left_out += words.len() - kept;
        if self.is_full() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn what_is_short_stays_as_it_is() {
        for text in [String::new(), "x".repeat(LONGEST), "€".repeat(LONGEST / 3)] {
            assert!(matches!(cut(&text), Cow::Borrowed(same) if same == text));
            let mut cutter = Cutter::default();
            cutter.write_str(&text).unwrap();
            assert_eq!(cutter.finish(), text);
        }
    }

    #[test]
    fn words_that_control_a_line_are_shown_by_their_escapes() {
        assert!(matches!(on_one_line("größer — €"), Cow::Borrowed("größer — €")));
        let forged = "no\r\nERROR paid\t\x1b[2J\u{7}\u{9b}31m\u{202e}\u{2028}\0";
        let shown = r"no\r\nERROR paid\t\u{1b}[2J\u{7}\u{9b}31m\u{202e}\u{2028}\u{0}";
        assert_eq!(on_one_line(forged), shown);
    }

    #[test]
    fn what_is_long_is_cut_between_characters_and_says_by_how_much() {
        for (text, shift) in [("x", 0), ("€", 0), ("😀", 0), ("😀", 1), ("😀", 2), ("😀", 3)]
        {
            let long = ".".repeat(shift) + &text.repeat(20_000);
            let cut = cut(&long).into_owned();
            assert!(cut.len() <= LONGEST, "{}", cut.len());
            let (kept, mark) = cut.split_once('…').unwrap();
            assert!(long.starts_with(kept));
            assert_eq!(mark, format!(" ({} bytes left out)", long.len() - kept.len()));
            let mut cutter = Cutter::default();
            long.chars().for_each(|c| cutter.write_char(c).unwrap());
            assert_eq!(cutter.finish(), cut);
            assert!(cut_type(&long).len() <= LONGEST_TYPE);
        }
    }
}
