//! Characters by Unicode's properties: which of them show, which belong into a line, and which are the same letter.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// What has no place in one line: controls, ends of lines and paragraphs, and what turns the direction of the text behind
/// it around. The marks that only stand where the direction is in doubt (U+061C, U+200E, U+200F) belong to names.
const OUT_OF_LINE: &str = r"[\p{Cc}\p{Zl}\p{Zp}[\p{Bidi_Control}--[\u{61c}\u{200e}\u{200f}]]]";
/// What leaves nothing to see: blanks, what is not shown by itself, and the empty Braille pattern, a blank without the
/// property.
const UNSEEN: &str = r"[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\u{2800}]";

/// The pattern of one line with something to see in it.
///
/// Joiners and variation selectors are taken beside what they join and vary. The few invisible characters beyond U+FFFF
/// are not in it, as no escape for them is common to the languages that read patterns; [`is_seen`] has them all.
pub static LINE: LazyLock<String> = LazyLock::new(|| {
    let outside = class(OUT_OF_LINE);
    let mut unseen = class(UNSEEN);
    unseen.union(&outside);
    let (outside, unseen) = (escaped(&outside), escaped(&unseen));
    format!("^[^{outside}]*[^{unseen}][^{outside}]*$")
});

/// Whether there is something to see in the text.
pub fn is_seen(text: &str) -> bool {
    static UNSEEN_CHARACTERS: LazyLock<ClassUnicode> = LazyLock::new(|| class(UNSEEN));
    let is_unseen = |character: char| {
        let mut ranges = UNSEEN_CHARACTERS.iter();
        ranges.any(|range| (range.start()..=range.end()).contains(&character))
    };
    !text.chars().all(is_unseen)
}

/// A regular expression that finds the text in any case of its letters: by Unicode's simple case folding, and `ß` as what
/// it is in upper case, `SS`. It names all forms of each letter, so that it finds the same by whatever it is read and in
/// whatever locale; it keeps to what Rust and PostgreSQL have in common.
pub fn in_any_case(text: &str) -> String {
    let mut pattern = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_double = matches!(character, 's' | 'S')
            && characters
                .next_if(|next| matches!(next, 's' | 'S'))
                .is_some();
        match is_double || matches!(character, 'ß' | 'ẞ') {
            true => pattern.push_str("(?:[ßẞ]|[Ssſ][Ssſ])"),
            false => pattern.push_str(&any_case_of(character)),
        }
    }
    pattern
}

fn any_case_of(character: char) -> String {
    let mut forms = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
    // Unicode leaves the Turkish letters to themselves, and a search cannot know the language of what it looks through.
    if matches!(character, 'i' | 'I' | 'ı' | 'İ') {
        forms = ClassUnicode::new(['i', 'ı', 'İ'].map(|form| ClassUnicodeRange::new(form, form)));
    }
    if forms.try_case_fold_simple().is_err() {
        return regex_syntax::escape(&character.to_string());
    }
    let forms = forms.iter().flat_map(|range| range.start()..=range.end());
    match forms.collect::<String>() {
        forms if forms.chars().count() > 1 => format!("[{forms}]"),
        one => regex_syntax::escape(&one),
    }
}

/// The class that this pattern, a constant, writes down; a test below reads each.
fn class(pattern: &str) -> ClassUnicode {
    match regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        _ => ClassUnicode::empty(),
    }
}

/// The ranges up to U+FFFF, in the one form of escape that Rust, ECMA-262 and Python share.
fn escaped(class: &ClassUnicode) -> String {
    let below = class.iter().filter(|range| range.start() <= '\u{ffff}');
    below
        .map(|range| {
            let (start, end) = (u32::from(range.start()), u32::from(range.end()));
            match end.min(0xffff) {
                end if end == start => format!(r"\u{start:04x}"),
                end => format!(r"\u{start:04x}-\u{end:04x}"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_something_to_see_and_is_one_line() {
        let line = regex::Regex::new(&LINE).expect("a constant pattern");
        let taken = |text: &str| line.is_match(text) && is_seen(text);
        for text in [
            "Ada",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "\u{2764}\u{fe0f}",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{200f}\u{5d0}\u{5d3}\u{5d4}\u{200e}",
            "\u{3000}\u{6f22}",
        ] {
            assert!(taken(text), "{text:?}");
        }
        let unseen = [
            "",
            " ",
            "\u{a0}",
            "\u{ad}",
            "\u{34f}",
            "\u{115f}",
            "\u{180e}",
            "\u{200b}",
            "\u{200d}",
            "\u{2060}",
            "\u{2800}",
            "\u{3164}",
            "\u{fe0f}",
            "\u{feff}",
            "\u{ffa0}",
            "\u{1d173}",
            "\u{e0001}",
            "\u{e0100}",
            "\u{200b} \u{feff}",
        ];
        let out_of_line = [
            '\0', '\t', '\n', '\r', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{202a}',
            '\u{202e}', '\u{2066}', '\u{2069}',
        ];
        for text in unseen {
            assert!(!taken(text), "{text:?}");
        }
        for character in out_of_line {
            for text in [
                format!("A{character}da"),
                format!("{character}Ada"),
                format!("Ada{character}"),
            ] {
                assert!(!taken(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn letters_are_found_in_any_case() {
        for (text, found) in [
            ("é", "É"),
            ("ÖL", "öl"),
            ("Straße", "STRAẞE"),
            ("STRASSE", "Straße"),
            ("Groß-Straße", "GROSS-STRASSE"),
            ("kongressstrasse", "Kongreßstraße"),
            ("ΟΔΟΣ", "οδος"),
            ("οδος", "οδοσ"),
            ("istanbul", "İSTANBUL"),
            ("DIYARBAKIR", "Dıyarbakır"),
            ("ЖУК", "жук"),
            ("k", "\u{212a}"),
            (r"a.*\[b]-c^$|(d){2}#&~?+", r"A.*\[B]-C^$|(D){2}#&~?+"),
        ] {
            let pattern = regex::Regex::new(&in_any_case(text)).expect("a pattern");
            assert!(pattern.is_match(found), "{pattern} in {found}");
        }
        assert_eq!(in_any_case("a.7"), r"[Aa]\.7");
    }
}
